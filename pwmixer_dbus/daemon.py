"""The service: wires the parts together and keeps them running; the only file that knows them all."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pwmixer_dbus import __version__
from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.load import config_path, in_doubt, load
from pwmixer_dbus.config.paths import HomelessError
from pwmixer_dbus.config.rulebook import RuleBook, rules_path
from pwmixer_dbus.config.store import StateFile, state_path
from pwmixer_dbus.config.watch import Watch
from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.events import Configured, Event, Levelled, Seen
from pwmixer_dbus.core.measures import Measures
from pwmixer_dbus.core.memory import Memory
from pwmixer_dbus.core.model import Kind, clean
from pwmixer_dbus.core.records import dataclass, fields, is_dataclass
from pwmixer_dbus.core.rules import Rule
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.words import ERROR_TEXT_LIMIT
from pwmixer_dbus.fader import Fader
from pwmixer_dbus.keeper import Keeper
from pwmixer_dbus.lanes import GIVE_UP
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.connection import BusConnection, TakenError
from pwmixer_dbus.outlets.bus.methods import Parts
from pwmixer_dbus.outlets.bus.paths import BUS_NAME
from pwmixer_dbus.outlets.bus.service import BusService
from pwmixer_dbus.outlets.switches import Outlet, Switch, Switchboard
from pwmixer_dbus.pulse.process import parent_of
from pwmixer_dbus.pulse.server import SoundServer
from pwmixer_dbus.router import Router
from pwmixer_dbus.startup.settled import settle, write_bundle
from pwmixer_dbus.system import journal, sandbox
from pwmixer_dbus.system.runtime import runtime_folder
from pwmixer_dbus.system.supervisor import Supervisor, new_loop

if TYPE_CHECKING:
    import argparse

    from pwmixer_dbus.core.succession import Succession
    from pwmixer_dbus.meters import Taps
    from pwmixer_dbus.system.pidfile import PidFile

log = logging.getLogger("pwmixer")

DRAIN = 0.5
"""Seconds for which calls in flight may still come to their end when the service stops."""

SAVE = 1.0
"""Seconds for which whoever takes over waits for the disk of the one before; it is told then what is not saved yet."""

LINGER = 0.5
"""Seconds for which calls are passed on that still come to the one that was taken over from, under its own name."""

FIRST_LOOK = 1.0
"""Seconds for which the first calls wait until the sound server has been listed, or is known not to be there."""

FIRST_LOOK_BESIDE = 10.0
"""Seconds for which whoever takes over may look first; nobody waits for that, since the other one is still at work."""

CATCH_UP = 0.5
"""Seconds for which whoever takes over may see what the other one has seen before; calls wait meanwhile, mostly 10 ms."""

SETTLED = 0.2
"""Seconds after the first answers in which whoever has started us asks on; then there is time to clear up."""

PROFILED = 10
"""Seconds of the profile that SIGUSR2 asks for."""

EXIT_OK, EXIT_FAILED, EXIT_TAKEN = 0, 1, 3


def _open_statistics(parts: Parts, settings: Settings) -> Outlet:
    from pwmixer_dbus.outlets.stats import StatisticsFiles  # noqa: PLC0415 - only where it is on

    return StatisticsFiles(parts.mixer, settings.stats, runtime_folder(os.environ))


def _is_listened_for() -> bool:
    """Whether systemd listens for us: whoever comes there is answered, also where the socket is off."""
    return os.environ.get("LISTEN_PID") == str(os.getpid())


def _open_socket(parts: Parts, settings: Settings) -> Outlet:
    from pwmixer_dbus.outlets.socket.listener import open_socket  # noqa: PLC0415 - only where it is on

    return open_socket(
        settings.socket,
        parts.mixer,
        parent_of=parts.parent_of,
        reload=parts.reload,
        predecessor=parts.predecessor(),
        when_ready=parts.when_ready,
    )


def _open_bar_signal(parts: Parts, settings: Settings) -> Outlet:
    from pwmixer_dbus.outlets.barsignal import BarSignal  # noqa: PLC0415 - only where it is on

    return BarSignal(parts.mixer, settings.bar_signal)


def _open_shared_memory(parts: Parts, settings: Settings) -> Outlet:
    from pwmixer_dbus.outlets.shm.outlet import SharedMemory  # noqa: PLC0415 - only where it is on

    return SharedMemory(parts.mixer, settings.shared_memory)


def _open_osd(parts: Parts, settings: Settings) -> Outlet:
    from pwmixer_dbus.outlets.bus.notifications import Notifications  # noqa: PLC0415 - only where it is on
    from pwmixer_dbus.outlets.osd import OnScreenDisplay  # noqa: PLC0415 - likewise

    return OnScreenDisplay(parts.mixer, settings.osd, Notifications(parts.connection))


def _open_taps(on_data: Callable[[], None]) -> "Taps":
    from pwmixer_dbus.pulse.meters import Taps  # noqa: PLC0415 - only while somebody reads a meter

    return Taps(on_data)


SWITCHES: tuple[Switch, ...] = (
    Switch(
        "statistics",
        lambda settings: settings.stats if settings.stats.file or settings.stats.prometheus else None,
        _open_statistics,
    ),
    Switch(
        "the socket",
        lambda settings: settings.socket if settings.socket.enabled or _is_listened_for() else None,
        _open_socket,
        early=True,
    ),
    Switch(
        "the signal to waybar",
        lambda settings: settings.bar_signal if settings.bar_signal.enabled else None,
        _open_bar_signal,
    ),
    Switch(
        "shared memory",
        lambda settings: settings.shared_memory if settings.shared_memory.enabled else None,
        _open_shared_memory,
    ),
    Switch("the display", lambda settings: settings.osd if settings.osd.enabled else None, _open_osd),
)
"""Every outlet that the configuration can switch, in the order in which they are opened."""


class Configuration:
    """The settings in force: a bad file leaves the last good ones, and its problems can be read in `error`.

    `path` is the file. `doubt` says what is switched off because the first file was a bad one and may have asked for
    that, and `may_forbid_to_save` whether it may have asked for that, too. `level` is the log level that the command line
    asks for, "" to leave it to the file.
    """

    def __init__(self, path: Path, level: str) -> None:
        self.path = path
        self._level = level
        self.error = ""
        self.doubt = ""
        self.may_forbid_to_save = False
        self.settings = Settings()

    def read(self) -> Settings:
        """Read the file and return the settings; raises MixerError for a bad one, which changes nothing."""
        try:
            self.settings = load(self.path)
        except MixerError as error:
            self.error = str(error)
            raise
        self.error = self.doubt = ""
        self.may_forbid_to_save = False
        journal.set_up(self._level or self.settings.log_level)
        return self.settings


class Daemon:
    """One run of the service: the mixer, the bus and the sound server, from the first connection to the last."""

    def __init__(
        self, connection: BusConnection, configuration: Configuration, supervisor: Supervisor
    ) -> None:
        self._connection = connection
        self._configuration = configuration
        # First watch, then read: what is edited meanwhile is told as soon as the loop goes on.
        files = configuration.path, rules_path(configuration.path)
        self._watch = Watch(files, self._reload_or_keep)
        try:
            configuration.read()
        except MixerError as error:
            found = in_doubt(configuration.path)
            configuration.settings, configuration.doubt, configuration.may_forbid_to_save = found
            log.error("%s\n%s", error, configuration.doubt or "the defaults are in force")
        self._supervisor = supervisor
        self._stopping = asyncio.Event()
        self._replaced = asyncio.Event()
        measures = Measures(time.monotonic)
        self._mixer = Mixer(configuration.settings, measures)
        self._server = SoundServer(
            self._mixer.on_event,
            lacks_default=lambda: self._mixer.state.lacks_default(Kind.SINK),
            machine_id=machine_id(),
            measures=measures,
        )
        self._mixer.server = self._server
        self._router = Router(self._mixer)
        self._state = StateFile(state_path(), on_problem=lambda: self._service.announce("StateError"))
        self._remembers = False
        self._is_unsure = False
        self._fader = Fader(self._mixer)
        self._keeper = Keeper(
            self._mixer,
            rules=self._router.outcome_of,
            locks=self._router.locks,
            save=self._save,
            save_soon=self._save_soon,
            wall_clock=time.time,
        )
        self._fader.holds = self._keeper.holds
        self._rules = RuleBook(files[1], configuration.settings.rules, config_path=configuration.path)
        parts = Parts(
            mixer=self._mixer,
            connection=connection,
            keeper=self._keeper,
            fader=self._fader,
            router=self._router,
            rules=self._rules,
            parent_of=parent_of,
            reload=self.reload,
            predecessor=lambda: self._predecessor,
            open_taps=_open_taps,
            when_ready=self._when_ready,
        )
        self._service = BusService(
            parts,
            instance_id=os.urandom(8).hex(),
            config_error=self._config_error,
            state_error=self._state_error,
        )
        self._router.set_rules(self._rules.rules)
        self._rules.on_change = self._rules_changed
        self._predecessor: int | None = None
        self._pid_place: str | None = None
        self._pid_file: PidFile | None = None
        self._wait_until_ready: list[Callable[[], None]] | None = []
        self._switchboard = Switchboard(parts, SWITCHES)
        try:
            self._rules.read()
        except MixerError as error:
            log.error("%s\nthe rules in it are not in force", error)
        self._told_error = self._config_error()
        connection.serve(self._service.on_call, self._name_lost)

    async def run(self, *, replace: bool, pid_file: str | None) -> int:
        """Own the name, then follow the sound server until told to stop, replaced, or left by the bus.

        Who takes over looks at everything first, so that the moment of change is short; see docs/architecture.md.
        pid_file: where supervisors find our process id, "" for the usual place, None for nowhere.
        """
        # Who owns the name can be told to stop in the same instant.
        stop_on_signals(self._stopping)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload_or_keep)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, self._profile)
        following = await self._look_first() if replace else None
        if self._stopping.is_set():
            self._give_up(following)
            return EXIT_OK
        stopped = asyncio.create_task(self._stopping.wait())
        owning = asyncio.create_task(self._own(replace=replace))
        await asyncio.wait((owning, stopped), return_when=asyncio.FIRST_COMPLETED)  # the bus may hang
        status = owning.result() if owning.done() else EXIT_OK
        if status != EXIT_OK or not owning.done():
            owning.cancel()
            self._give_up(following)
            return status
        log.info("pwmixer %s serves %s as %s", __version__, BUS_NAME, self._connection.unique_name)
        self._mixer.subscribe(self._tell_change, levels=False)
        if following is None:
            following, answering = self._begin()
        else:
            answering = asyncio.create_task(self._take_over())
        await self._write_pid_file(pid_file)
        self._supervisor.tell("READY=1")
        self._tell_status()
        quickening = asyncio.create_task(_be_nice(self._configuration.settings.nice))
        left = asyncio.create_task(self._connection.wait_closed())
        stopped.add_done_callback(lambda _: self._service.heir.wait_no_longer())
        is_replaced = await self._until_replaced(answering, following, left, stopped)
        if not is_replaced and not stopped.done():
            status = EXIT_FAILED
            self._stopping.set()
            log.error(
                "%s; stopping",
                "the session bus has gone"
                if left.done()
                else "following the sound server failed"
                if following.done()
                else "what should answer could not be made ready",
            )
        if self._service.is_awaited:
            # Before it is known what there is, whoever waits could only be told what is not so.
            await asyncio.wait((answering, left), return_when=asyncio.FIRST_COMPLETED)
        answering.cancel()  # what is not open by now is not opened any more
        await self._end(following, quickening, answering, left, stopped)
        return status

    async def _own(self, *, replace: bool) -> int:
        """Own the name, and know whom we have it from; return the exit status where that cannot be, which is told."""
        try:
            if replace:
                predecessor = await self._connection.own_instead(BUS_NAME)
                self._service.predecessor = predecessor
                self._predecessor = (
                    await self._connection.process_behind(predecessor) if predecessor else None
                )
            else:
                await self._connection.own(BUS_NAME)
        except TakenError:
            pid = await self._connection.process_behind(BUS_NAME)
            advice = "use --replace to take over from it"
            if replace:
                advice = "that one lets nobody take over: end it first"
            log.error("pwmixer is running already, as process %s; %s", pid or "unknown", advice)
            return EXIT_TAKEN
        except OSError as error:
            log.error("the session bus does not give us the name %s: %s", BUS_NAME, error)
            return EXIT_FAILED
        return EXIT_OK

    def _give_up(self, following: "asyncio.Task[None] | None") -> None:
        """Close what is open; the name is another's."""
        if following is not None:
            following.cancel()
        self._watch.close()
        self._switchboard.close()
        self._connection.close()

    async def _until_replaced(self, answering: "asyncio.Task[None]", *ends: "asyncio.Task[Any]") -> bool:
        """Return True when another instance has taken over, or was about to when we were told to end; False at any other end."""
        while True:
            replaced = asyncio.create_task(self._replaced.wait())
            waiting = () if answering.done() else (answering,)
            await asyncio.wait((*ends, replaced, *waiting), return_when=asyncio.FIRST_COMPLETED)
            if not replaced.done():
                replaced.cancel()
                if any(end.done() for end in ends) or answering.exception() is not None:
                    return False
                continue
            # Until we answer, there is nothing to hand over.
            await asyncio.wait((answering, *ends), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                return False
            if await self._hand_over():
                return True

    def _begin(self) -> "tuple[asyncio.Task[None], asyncio.Task[None]]":
        """Begin with nothing but what is remembered."""
        self._service.publisher.announcer.is_asked = False
        self._keeper.start(self._recalled())
        self._router.enabled = not self._keeper.memory.rules_off
        log.info("%s", sandbox.describe())
        return asyncio.create_task(self._server.run()), asyncio.create_task(self._begin_to_answer())

    async def _write_pid_file(self, place: str | None) -> None:
        self._pid_place = place
        if place is not None:
            from pwmixer_dbus.system import pidfile  # noqa: PLC0415 - only where it is wanted

            self._pid_file = await pidfile.write(place, os.environ, predecessor=self._predecessor)

    def _recalled(self, left: "Succession | None" = None) -> Memory:
        """Return what is remembered: of the file, or what the instance before could not save there.

        Where the first configuration may say that nothing is to be saved, and is a bad one, nothing is until it is mended.
        """
        is_wanted = self._configuration.settings.memory
        is_known = not self._configuration.may_forbid_to_save or (left is not None and left.remembers)
        self._remembers, self._is_unsure = is_wanted and is_known, is_wanted and not is_known
        memory = self._state.load() if is_wanted else Memory()
        if self._is_unsure:
            log.warning("%s", self._state_error())
            self._state.flush()  # which also lets another instance save
        if left is not None and left.memory is not None and left.remembers == self._remembers:
            memory = left.memory
            self._save(memory)
        return memory

    async def _end(self, following: "asyncio.Task[None]", *waiting: "asyncio.Task[Any]") -> None:
        """Answer every call that has come in, then leave the sound server, so that what that changes can still be told."""
        self._watch.close()
        self._supervisor.tell("STOPPING=1", "STATUS=Stopping.")
        self._switchboard.close()
        self._service.release_calls()
        self._service.methods.close()
        self._fader.finish()
        self._save_now()  # who owns the name next reads it
        if self._pid_file is not None:
            self._pid_file.remove()  # who owns the name next writes its own
        # The bus delivers what was sent to the name before it answers, so no call is left unread in the socket.
        await self._connection.disown(BUS_NAME)
        self._service.release_calls()
        if self._service.passes_on:
            await self._mixer.settle(GIVE_UP)
            await asyncio.wait((following,), timeout=LINGER)
        await self._mixer.drain(DRAIN)
        for task in (following, *waiting):
            task.cancel()
            results: tuple[Any, ...] = await asyncio.gather(task, return_exceptions=True)
            if isinstance(results[0], Exception):
                log.error("while stopping", exc_info=results[0])
        self._save_now()
        self._keeper.close()
        self._service.publisher.close()
        self._connection.close()

    # --- taking over, and being taken over from

    async def _look_first(self) -> "asyncio.Task[None]":
        """Look at everything while the other one is still at work, and prepare what takes time."""
        from pwmixer_dbus import succession  # noqa: F401, PLC0415 - loaded now, so that nobody waits for it later

        self._mixer.sleep()
        following = asyncio.create_task(self._server.run())
        waiting = [asyncio.create_task(each.wait()) for each in (self._server.has_looked, self._stopping)]
        await asyncio.wait(waiting, timeout=FIRST_LOOK_BESIDE, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        log.info("%s", sandbox.describe())
        settle(asyncio.get_running_loop().call_soon)
        await asyncio.sleep(0)  # all of it, before anybody waits for us
        return following

    async def _take_over(self) -> None:
        """Go on with what the instance before has left; whoever calls meanwhile waits."""
        from pwmixer_dbus import succession  # noqa: PLC0415 - see above

        left, predecessor, since = None, self._service.predecessor, time.monotonic()
        if predecessor:
            # Before the other one leaves, so that there is no moment without.
            self._switchboard.follow(self._configuration.settings, early=True)
            left = await succession.inherited(self._connection, predecessor)
            # Of what the other one has seen last, we may have an older view, which would count as the latest.
            await _at_most(CATCH_UP, self._server.catch_up())
        if left is not None and self._configuration.error and left.configured != self._configuration.settings:
            # Our own file is a bad one: go on with the last good settings.
            self._configuration.settings, self._configuration.doubt = left.configured, ""
        configured, memory = self._configuration.settings, self._recalled(left)
        succession.go_on_or_begin(self._service, left, configured=configured, memory=memory)
        self._server.look_again()
        self._answer()
        if left is not None:
            succession.tell_taken(self._connection, predecessor)
            took = time.monotonic() - since
            log.info("took over from process %s; calls have waited %.0f ms", self._predecessor, 1000 * took)
        asyncio.get_running_loop().call_later(SETTLED, write_bundle)

    async def _hand_over(self) -> bool:
        """Leave all to the instance that has taken the name; False where that has died, and the name is ours again.

        Whoever is told to end meanwhile waits no longer for it.
        """
        from pwmixer_dbus import succession  # noqa: PLC0415 - once in the life of a service

        left: list[Succession] = []

        async def leave() -> "Succession":
            left.append(await self._leave())
            return left[0]

        heir = self._service.heir
        is_taken = await succession.handed_over(self._connection, heir, leave)
        if self._stopping.is_set() and not left:
            if self._remembers:  # nobody has asked us for it
                self._state.schedule(self._keeper.memory)
            return True
        if is_taken or self._stopping.is_set() or not await self._connection.own_again(BUS_NAME):
            if left:
                self._service.pass_calls_on()
            self._remembers = False  # from now on the file is the other's
            log.info("another instance has taken over")
            return True
        log.warning("the instance that was to take over has died; this one goes on")
        heir.expect_no_longer()
        self._replaced.clear()
        if left:
            self._remembers = left[0].remembers
            configured, memory = self._configuration.settings, self._keeper.memory
            succession.go_on(self._service, left[0], configured=configured, memory=memory)
        self._be_sure()
        if self._remembers:
            self._state.schedule(self._keeper.memory)
        self._switchboard.open_anew(self._configuration.settings)
        self._service.release_calls()
        await self._write_pid_file(self._pid_place)
        return False

    async def _leave(self) -> "Succession":
        """Bring to its end what has been asked, and stop; return what is left."""
        from pwmixer_dbus import succession  # noqa: PLC0415 - likewise

        self._mixer.tell_levels()
        self._switchboard.close_early()
        fades = self._fader.hand_over()
        await self._mixer.settle(DRAIN)
        fades += self._fader.hand_over()  # of whoever has asked us by our own name meanwhile
        if self._remembers:
            self._state.schedule(self._keeper.memory)
            await self._state.hand_over(SAVE)
            fades += self._fader.hand_over()  # likewise
        left = succession.leave(
            self._service,
            fades,
            configured=self._configuration.settings,
            remembers=self._remembers,
            is_saved=self._state.has_saved(self._keeper.memory),
        )
        self._remembers = False
        self._service.hold_calls()  # until it is known who is to answer them
        return left

    # --- what happens meanwhile

    async def _begin_to_answer(self) -> None:
        """Answer nobody before it is known what there is: whoever asks first has often started us by asking."""
        self._switchboard.follow(self._configuration.settings, early=True)
        await _at_most(FIRST_LOOK, self._server.has_looked.wait())
        self._answer()
        loop = asyncio.get_running_loop()
        loop.call_later(SETTLED, write_bundle)
        loop.call_later(SETTLED, settle, loop.call_soon)

    def _answer(self) -> None:
        # Before the first answer, so that whoever has one finds all that there is.
        self._switchboard.follow(self._configuration.settings)
        waiting, self._wait_until_ready = self._wait_until_ready or [], None
        for begin in waiting:
            begin()
        self._service.release_calls()

    def _when_ready(self, begin: Callable[[], None]) -> None:
        if self._wait_until_ready is None:
            begin()
        else:
            self._wait_until_ready.append(begin)

    def reload(self, files: frozenset[Path] | None = None) -> None:
        """Read the configuration again, or some of its files; raises MixerError for a bad one, which changes nothing."""
        before, errors = self._told_error, []
        for path, read in (
            (self._configuration.path, self._read_config),
            (self._rules.path, self._rules.read),
        ):
            if files is None or path in files:
                try:
                    read()
                except MixerError as error:
                    errors.append(str(error))
        # Not as it was before: who has set the rules may have looked at the file, or mended it, meanwhile.
        self._told_error = self._config_error()
        if files is None or before != self._told_error:
            self._service.announce("ConfigError")
            self._tell_status()
        if errors:
            raise ConfigError("\n".join(errors))
        # The book of rules tells of each write by itself, and most writes are its own.
        if before or files != frozenset({self._rules.path}):
            log.info("the configuration has been read again")

    def _read_config(self) -> None:
        settings = self._configuration.read()
        self._mixer.on_event(Configured(settings=settings))
        self._rules.replace_config(settings.rules)
        is_replaced = self._replaced.is_set()
        if self._wait_until_ready is None and not is_replaced:  # else it is followed when it is our turn
            self._switchboard.follow(settings)
        if not is_replaced:
            self._be_sure()

    def _be_sure(self) -> None:
        """Save from now on what the configuration has cast doubt on until it was mended."""
        if self._is_unsure and not self._configuration.error:
            self._remembers, self._is_unsure = self._configuration.settings.memory, False
            self._save(self._keeper.memory)
            self._service.announce("StateError")

    def _config_error(self) -> str:
        problems = self._configuration.error, self._configuration.doubt, self._rules.problem
        return "\n".join(filter(None, problems))

    def _state_error(self) -> str:
        problem = self._state.problem
        if self._is_unsure:
            path = self._configuration.path
            problem = f"{path} may say that nothing is to be saved; what is learned now is not saved until that is mended"
        return clean(problem, ERROR_TEXT_LIMIT)  # a path may be no text

    def _rules_changed(self, rules: tuple[Rule, ...]) -> None:
        self._router.set_rules(rules)
        self._service.announce("Revision")

    def _reload_or_keep(self, files: frozenset[Path] | None = None) -> None:
        try:
            self.reload(files)
        except MixerError as error:
            log.error("%s\nthe last good settings stay in force", error)

    def _tell_change(self, before: MixerState, _changes: tuple[Change, ...], _origin: Origin) -> None:
        if self._stopping.is_set():
            return  # it is we who leave the sound server
        now = self._mixer.state
        if (before.connected, before.server.version) != (now.connected, now.server.version):
            self._tell_status()
        if before.connected != now.connected:
            if now.connected:
                log.info("connected to %s", now.server.name)
            else:
                log.info("the sound server has gone; it is followed again as soon as it is back")

    def _tell_status(self) -> None:
        state, problem = self._mixer.state, self._config_error()
        server = f"{state.server.name} {state.server.version}".rstrip()
        text = f"Connected to {server}." if state.connected else "Waiting for a sound server."
        self._supervisor.tell_status(
            text + (f" The configuration has an error: {problem}" if problem else "")
        )

    def _profile(self) -> None:
        from pwmixer_dbus.system.profiling import profile_or_tell  # noqa: PLC0415 - hardly anybody asks for one

        profile_or_tell(PROFILED, os.environ)

    def _save(self, memory: Memory) -> None:
        if self._remembers and not self._replaced.is_set():
            self._state.schedule(memory)

    def _save_soon(self) -> None:
        if self._remembers and not self._replaced.is_set():
            self._state.expect(self._keeper.learn_part)

    def _save_now(self) -> None:
        if self._remembers:
            self._mixer.tell_levels()
            self._state.flush()

    def _name_lost(self, name: str) -> None:
        if name == BUS_NAME and not self._stopping.is_set():
            if self._remembers:  # who takes over reads it soon
                self._mixer.tell_levels()
                self._state.hurry()
            self._service.heir.expect()
            self._replaced.set()


async def serve(
    configuration: Configuration, supervisor: Supervisor, *, replace: bool, pid_file: str | None
) -> int:
    """Connect to the session bus and run; return the exit status."""
    try:
        connection = await BusConnection.open()
    except Exception as error:  # noqa: BLE001 - dbus-fast raises half a dozen kinds; each means the same to a person
        log.error(
            "there is no session bus to serve on (%s); start within a session, or use dbus-run-session", error
        )
        supervisor.tell_status(f"There is no session bus: {error}")
        return EXIT_FAILED
    return await Daemon(connection, configuration, supervisor).run(replace=replace, pid_file=pid_file)


async def dump_events() -> int:
    """Print what the sound server says, one event a line as JSON, until interrupted: for bug reports."""
    stopping = asyncio.Event()

    def show(event: Event) -> None:
        line = {"event": type(event).__name__, **plain(event)}
        try:
            print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 - this is what was asked for
        except BrokenPipeError:
            # `| head`: the reader has seen enough. Python would flush once more at its end, and complain.
            sys.stdout = None
            stopping.set()

    stop_on_signals(stopping)
    following = asyncio.create_task(SoundServer(show, machine_id=machine_id()).run())
    await stopping.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return EXIT_OK


async def _be_nice(level: int) -> None:
    if level:
        from pwmixer_dbus.outlets.bus import rtkit  # noqa: PLC0415 - once, when the start is over

        await rtkit.take(level)


async def _at_most(longest: float, waiting: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(longest):
            await waiting


def stop_on_signals(stopping: asyncio.Event) -> None:
    """Set an event on SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)


def plain(value: Any) -> Any:
    """Turn records into dictionaries, lists and scalars."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Seen | Levelled):  # named tuples
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value


def machine_id() -> str:
    """Return the machine's id, by which a stream's process is known to be a local one; "" where there is none."""
    for place in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def main() -> None:
    """Start the service, as `pwmixer-dbus`."""
    options = _options(sys.argv[1:])
    supervisor = Supervisor(os.environ)
    # Or asyncio puts a handler of its own there, and ours in its place has Python write out the whole task, by way of `inspect`.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with asyncio.Runner(loop_factory=partial(new_loop, supervisor)) as runner:
            status = runner.run(_chosen(options, supervisor)())
    except HomelessError as error:
        log.error("%s", error.strerror)
        status = EXIT_FAILED
    sys.exit(status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line; `level` and `pid_file` are None where it asks for none."""

    replace: bool = False
    config: Path | None = None
    pid_file: str | None = None
    level: str | None = None
    dump_events: bool = False


def _options(words: list[str]) -> Options:
    # Whoever activates us gives no options, and waits meanwhile: argparse takes 8 ms.
    return Options(**vars(parser().parse_args(words))) if words else Options()


def parser() -> "argparse.ArgumentParser":
    """Make the parser of the command line; the manual page is made from it, too."""
    import argparse  # noqa: PLC0415 - see _options

    parser = argparse.ArgumentParser(
        prog="pwmixer-dbus",
        description="The audio mixer as a D-Bus session service, org.pwmixer.Mixer.",
        epilog="exit status: 0 stopped or replaced, 1 no session bus, or one that refuses the name or goes away, 2 usage, 3 running already",
    )
    parser.add_argument("--version", action="version", version=f"pwmixer-dbus {__version__}")
    parser.add_argument("--replace", action="store_true", help="take over from an instance that is running")
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file in place of config.toml")
    parser.add_argument(
        "--pid-file",
        nargs="?",
        const="",
        metavar="FILE",
        help="write the process id to a file, by default $XDG_RUNTIME_DIR/pwmixer/pid",
    )
    parser.add_argument(
        "--verbose", action="store_const", dest="level", const="info", help="say what is done"
    )
    parser.add_argument("--debug", action="store_const", dest="level", const="debug", help="say everything")
    parser.add_argument(
        "--dump-events", action="store_true", help="only print what the sound server says, as JSON lines"
    )
    return parser


def _chosen(options: Options, supervisor: Supervisor) -> Callable[[], Coroutine[Any, Any, int]]:
    journal.set_up(options.level or "info")
    if options.dump_events:
        return dump_events
    configuration = Configuration(options.config or config_path(), options.level or "")
    return lambda: serve(configuration, supervisor, replace=options.replace, pid_file=options.pid_file)


if __name__ == "__main__":
    main()
