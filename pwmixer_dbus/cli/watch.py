"""`watch`: a line for each change on the bus, as text or as JSON, through the going and coming of service and server."""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

from pwmixer_dbus.cli import DONE, UnreachableError, printable
from pwmixer_dbus.cli.change import percent
from pwmixer_dbus.cli.paths import selector_of
from pwmixer_dbus.cli.wire import BUS_NAME, BUS_PATH, NAME, PATH, no_bus
from pwmixer_dbus.system.runtime import session_bus

Event = dict[str, Any]

_SIGNALS = {
    "ClientChange": ("client", ("property", "value", "client", "context", "quiet")),
    "VolumeClamped": ("clamped", ("requested", "effective", "reason")),
}
_RULES = (
    f"type='signal',sender='{NAME}',path_namespace='{PATH}'",
    f"type='signal',sender='{BUS_NAME}',member='NameOwnerChanged',arg0='{NAME}'",
)
_STATES = {
    ("service", True): "the pwmixer service is there",
    ("service", False): "the pwmixer service is gone",
    ("server", True): "the sound server is there",
    ("server", False): "the sound server is gone",
}


def run(_name: str, options: dict[str, str], _arguments: list[str]) -> int:
    """Print changes until interrupted, or until nobody reads them. Raises UnreachableError without a bus."""
    asyncio.run(_watch(as_json="--json" in options))
    return DONE


def events(message: Message) -> list[Event]:
    """Turn a signal into events, the same that `--json` prints. Signals that we do not know give none."""
    body = message.body
    match message.member:
        case "NameOwnerChanged":
            return [{"event": "service", "present": bool(body[2])}]
        case "PropertiesChanged":
            return [
                _property_event(str(message.path), name, _plain(value)) for name, value in body[1].items()
            ]
        case "InterfacesAdded":
            about = {k: _plain(v) for properties in body[1].values() for k, v in properties.items()}
            return [{"event": "added", **_who(body[0]), "properties": about}]
        case "InterfacesRemoved":
            return [{"event": "removed", **_who(body[0])}]
    fields = _SIGNALS.get(str(message.member))
    if fields is None:
        return []
    details = {field: _plain(value) for field, value in zip(fields[1], body[1:], strict=True)}
    return [{"event": fields[0], **_who(body[0]), **details}]


def sentence(event: Event) -> str:
    """Write an event for a person, or nothing: what a client asked for is seen again as the change itself."""
    selector = event.get("selector", "")
    match event["event"]:
        case "service" | "server":
            text = _STATES[event["event"], event["present"]]
        case "changed":
            text = _change(selector, event["property"], event["value"])
        case "added":
            about = event["properties"]
            title = " - ".join(
                filter(None, (about.get("AppName"), about.get("MediaName") or about.get("Description")))
            )
            text = f"{selector} added {title}"
        case "clamped":
            asked, got = percent(event["requested"]), percent(event["effective"])
            text = f"{selector} limited to {got}, {asked} was asked: {event['reason']}"
        case "removed":
            text = f"{selector} removed"
        case _:
            return ""
    return printable(text).rstrip()


async def _watch(*, as_json: bool) -> None:
    stopped = asyncio.Event()
    unwritten: list[OSError] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    bus = await connect()

    def receive(message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        try:
            for event in events(message):
                _print(event, as_json=as_json)
        except OSError as error:
            unwritten.append(error)
            stopped.set()

    bus.add_message_handler(receive)
    for rule in _RULES:
        await _ask(bus, "AddMatch", rule)
    if not await _ask(bus, "NameHasOwner", NAME) and await _ask(bus, "StartServiceByName", NAME, 0) is None:
        _print({"event": "service", "present": False}, as_json=as_json)
    ends = asyncio.ensure_future(_disconnected(bus, stopped))
    await stopped.wait()
    if unwritten:
        raise unwritten[0]
    if ends.done():
        raise UnreachableError("The session bus has closed the connection.")
    ends.cancel()
    bus.disconnect()


async def _disconnected(bus: MessageBus, stopped: asyncio.Event) -> None:
    try:
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    except (OSError, EOFError):
        pass  # it has gone, however rudely
    finally:
        stopped.set()


async def connect() -> MessageBus:
    """Connect to the session bus. Raises UnreachableError."""
    try:
        return await MessageBus(session_bus(os.environ), BusType.SESSION).connect()
    except (OSError, AuthError, InvalidAddressError) as error:
        raise no_bus() from error


async def _ask(bus: MessageBus, member: str, *arguments: str | int) -> Any:
    """Call a method of the bus itself; None if it fails."""
    signature = "".join("s" if isinstance(argument, str) else "u" for argument in arguments)
    reply = await bus.call(
        Message(
            destination=BUS_NAME,
            path=BUS_PATH,
            interface=BUS_NAME,
            member=member,
            signature=signature,
            body=list(arguments),
        )
    )
    if reply is None or reply.message_type is MessageType.ERROR:
        return None
    return reply.body[0] if reply.body else True


def _print(event: Event, *, as_json: bool) -> None:
    now = datetime.now(UTC).astimezone()
    if as_json:
        # ASCII, so that no name can break a line, whatever the reader takes for a line end.
        line = json.dumps({"time": now.isoformat(timespec="milliseconds"), **event})
    elif text := sentence(event):
        line = f"{now:%H:%M:%S} {text}"
    else:
        return
    print(line, flush=True)


def _property_event(path: str, name: str, value: Any) -> Event:
    if path == PATH and name == "Connected":
        return {"event": "server", "present": value}
    return {"event": "changed", **_who(path), "property": name, "value": value}


def _who(path: str) -> Event:
    selector = selector_of(path)
    return {"selector": selector, "path": path} if selector else {"path": path}


def _change(selector: str, name: str, value: Any) -> str:
    match name, value:
        case (("Volume" | "MaxVolume"), float()):
            words = f"{_kebab(name)} {percent(value)}"
        case "Muted", bool():
            words = "muted" if value else "unmuted"
        case "ChannelVolumes", list():
            # Equal channels say nothing that the volume beside them does not.
            if len(set(value)) <= 1:
                return ""
            words = f"channels {' '.join(percent(level) for level in value)}"
        case (("Device" | "Card" | "App" | "DefaultSink" | "DefaultSource"), str()):
            words = f"{_kebab(name)} {selector_of(value) or value.strip('/') or 'none'}"
        case "Enabled", bool():
            words = f"rules {'enabled' if value else 'disabled'}"
        case "Revision", int():
            words = "rules changed"
        case _, bool():
            words = f"{_kebab(name)} {'yes' if value else 'no'}"
        case _, (str() | int() | float()):
            words = f"{_kebab(name)} {'none' if value == '' else value}"
        case _:
            words = f"{_kebab(name)} changed"
    return f"{selector} {words}".strip()


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Variant) else value
