"""The service: wires the parts together and keeps them running; the only file that knows them all."""

import argparse
import asyncio
import dataclasses
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pwmixer_dbus import __version__, journal
from pwmixer_dbus.config.load import config_path, load
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.events import Configured, Event
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.connection import BusConnection, TakenError
from pwmixer_dbus.outlets.bus.paths import BUS_NAME
from pwmixer_dbus.outlets.bus.service import BusService
from pwmixer_dbus.pulse.process import parent_of
from pwmixer_dbus.pulse.server import SoundServer

log = logging.getLogger("pwmixer")

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_TAKEN = 0, 1, 2, 3


class Configuration:
    """The settings in force: a bad file leaves the last good ones, and its problems can be read."""

    def __init__(self, path: Path, level: str) -> None:
        self._path = path
        self._level = level
        self.error = ""
        self.settings = Settings()

    def read(self) -> Settings:
        """Read the file and return the settings; raises MixerError for a bad one, which changes nothing."""
        try:
            self.settings = load(self._path)
        except MixerError as error:
            self.error = str(error)
            raise
        self.error = ""
        journal.set_up(self._level or self.settings.log_level)
        return self.settings

    def read_or_keep(self) -> Settings:
        """Read the file; a problem is logged, and the last good settings stay in force."""
        try:
            return self.read()
        except MixerError as error:
            log.error("%s\nthe last good settings stay in force", error)
            return self.settings


async def serve(configuration: Configuration, *, replace: bool) -> int:
    """Run until told to stop, until replaced, or until the bus goes away; return the exit status."""
    try:
        connection = await BusConnection.open()
    except Exception as error:  # noqa: BLE001 - dbus-fast raises half a dozen kinds; each means the same to a person
        log.error(
            "there is no session bus to serve on (%s); start from within a session, or use dbus-run-session",
            error,
        )
        return EXIT_FAILED
    stopping = asyncio.Event()
    status = EXIT_OK
    mixer = Mixer(configuration.settings)

    def reload() -> None:
        try:
            mixer.on_event(Configured(settings=configuration.read()))
        finally:
            service.config_changed()
        log.info("the configuration has been read again")

    def reload_or_keep() -> None:
        try:
            reload()
        except MixerError as error:
            log.error("%s\nthe last good settings stay in force", error)

    def name_lost(name: str) -> None:
        if name == BUS_NAME:
            log.info("another instance has taken over")
            stopping.set()

    service = BusService(
        mixer,
        connection,
        instance_id=os.urandom(8).hex(),
        parent_of=parent_of,
        reload=reload,
        config_error=lambda: configuration.error,
    )
    connection.serve(service.on_call, name_lost)
    try:
        await connection.own(BUS_NAME, replace=replace)
    except TakenError:
        pid = await connection.process_behind(BUS_NAME)
        log.error(
            "pwmixer is running already, as process %s; use --replace to take over from it", pid or "unknown"
        )
        connection.close()
        return EXIT_TAKEN
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reload_or_keep)
    mixer.server = server = SoundServer(mixer.on_event, machine_id=machine_id())
    following = asyncio.create_task(server.run())
    closed = asyncio.create_task(connection.wait_closed())
    stopped = asyncio.create_task(stopping.wait())
    log.info("pwmixer %s serves %s as %s", __version__, BUS_NAME, connection.unique_name)
    # What start-up made stays for good; not to look at it again makes every later collection short.
    gc.collect()
    gc.freeze()
    done, _ = await asyncio.wait((following, closed, stopped), return_when=asyncio.FIRST_COMPLETED)
    if following in done:
        following.result()
    if closed in done and stopped not in done:
        log.error("the session bus has gone; stopping")
        status = EXIT_FAILED
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    service.publisher.close()
    for task in (closed, stopped):
        task.cancel()
    await asyncio.gather(closed, stopped, return_exceptions=True)
    connection.close()
    return status


async def dump_events() -> int:
    """Print what the sound server says, one event a line as JSON, until interrupted: for bug reports."""

    def show(event: Event) -> None:
        line = {"event": type(event).__name__, **plain(event)}
        print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 - this is what was asked for

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    following = asyncio.create_task(SoundServer(show, machine_id=machine_id()).run())
    await stopping.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return EXIT_OK


def plain(value: Any) -> Any:
    """Turn records into dictionaries, lists and scalars."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value


def machine_id() -> str:
    """Return the machine's id, by which a stream's process is known to be a local one; "" where there is none."""
    for place in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return Path(place).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def main() -> None:
    """Start the service, as `pwmixer-dbus`."""
    parser = argparse.ArgumentParser(
        prog="pwmixer-dbus",
        description="The audio mixer as a D-Bus session service, org.pwmixer.Mixer.",
        epilog="exit status: 0 stopped or replaced, 1 no session bus or it went away, 2 usage, 3 running already",
    )
    parser.add_argument("--version", action="version", version=f"pwmixer-dbus {__version__}")
    parser.add_argument("--replace", action="store_true", help="take over from an instance that is running")
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file in place of config.toml")
    parser.add_argument(
        "--verbose", action="store_const", dest="level", const="info", help="say what is done"
    )
    parser.add_argument("--debug", action="store_const", dest="level", const="debug", help="say everything")
    parser.add_argument(
        "--dump-events", action="store_true", help="only print what the sound server says, as JSON lines"
    )
    options = parser.parse_args()
    journal.set_up(options.level or "info")
    run: Callable[[], Any] = dump_events
    if not options.dump_events:
        configuration = Configuration(options.config or config_path(), options.level or "")
        configuration.read_or_keep()
        run = lambda: serve(configuration, replace=options.replace)  # noqa: E731 - two lines for one are no clearer
    try:
        sys.exit(asyncio.run(run()))
    except KeyboardInterrupt:
        sys.exit(EXIT_OK)


if __name__ == "__main__":
    main()
