"""The limit in Python: what `mixer.c` does, on the libraries of the service, and nothing else.

    python -m benchmarks.peers.plain_start NAME [APP SINK]

What it owns, follows, fetches, announces and answers, and when, is as it is there: read that first. What talks to libpulse
and to the bus is the service's own, since it is the quickest that we know; there are no records, no rules, no memory, no
measures and no other outlets here. What this takes is what Python, asyncio and the libraries take.
"""

import asyncio
import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import AF_UNIX, socket
from struct import Struct, calcsize
from time import monotonic
from typing import Any

from dbus_fast import Message, MessageType, Variant
from pulsectl import _pulsectl as c

from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.outlets.bus.connection import BusConnection, marshalled
from pwmixer_dbus.pulse import libpulse
from pwmixer_dbus.pulse.libpulse import request
from pwmixer_dbus.startup.settled import settle
from pwmixer_dbus.system.prompt import PromptSelector

ROOT = "/org/pwmixer/Mixer"
MIXER, NODE, PROPERTIES = "org.pwmixer.Mixer", "org.pwmixer.Mixer.Node", "org.freedesktop.DBus.Properties"
NOT_FOUND, INVALID = "org.pwmixer.Error.NotFound", "org.pwmixer.Error.InvalidArgument"

SINK, STREAM, SERVER = 0, 2, 7
"""libpulse's facilities; the first two are the kinds of objects here."""

FOLDERS = {SINK: "sinks", STREAM: "streams"}
KINDS = {"sink": SINK, "stream": STREAM}
_index, _text = ctypes.c_uint32, ctypes.c_char_p
FETCH = {
    SINK: request("get_sink_info_by_index", _index),
    STREAM: request("get_sink_input_info", _index),
}
LIST = {SINK: request("get_sink_info_list"), STREAM: request("get_sink_input_info_list")}
SET_VOLUME = {
    SINK: request("set_sink_volume_by_index", _index, _text),
    STREAM: request("set_sink_input_volume", _index, _text),
}
MOVE = request("move_sink_input_by_index", _index, _index)
FACILITY_BITS, TYPE_BITS, REMOVE = 0x0F, 0x30, 0x20

NORM, CHANNELS = 0x10000, 32
NEAR, DIGITS = 0.001, 4
SHOWN_SOON = 0.1
SETTLED = 0.2
KEPT = 8192

_put_double = Struct("<d").pack_into
_VALUE_AT = -12
"""Where the volume is in its signal: a double, and the length of the empty list behind it."""

_VOLUMES = [Struct(f"={count}I") for count in range(CHANNELS + 1)]
_CVOLUMES = [Struct(f"=B3x{count}I{4 * (CHANNELS - count)}x") for count in range(CHANNELS + 1)]

_gets = ctypes.PyDLL("libpulse.so.0").pa_proplist_gets
_gets.restype, _gets.argtypes = ctypes.c_char_p, (ctypes.c_void_p, ctypes.c_char_p)


def _layout(declared: Any, **codes: str) -> Callable[[int], tuple[Any, ...]]:
    """Return a function that reads fields of a struct, which are named in their order, with their codes for `struct`."""
    pieces, position = ["="], 0
    for name, code in codes.items():
        offset = getattr(declared, name).offset
        pieces.append(f"{offset - position}x{code}")
        position = offset + calcsize(f"={code}")
    reader = Struct("".join(pieces))
    return lambda address: reader.unpack(ctypes.string_at(address, reader.size))


_CVOLUME = f"{4 + 4 * CHANNELS}s"
_read_sink = _layout(c.PA_SINK_INFO, name="Q", index="I", volume=_CVOLUME, mute="i")
_read_server = _layout(c.PA_SERVER_INFO, default_sink_name="Q")
_read_stream = _layout(c.PA_SINK_INPUT_INFO, index="I", volume=_CVOLUME, mute="i", proplist="Q")

Fields = tuple[int, int, bytes, int, bytes]
"""What is read of an object: its kind, index, `pa_cvolume` and mute, and the name of the sink, or of a stream's application
where that is wanted."""


class Wanted:
    """A call that is answered when the server shows its volume."""

    __slots__ = ("call", "is_acknowledged", "volume")

    def __init__(self, call: Message, volume: float) -> None:
        self.call = call
        self.volume = volume
        self.is_acknowledged = False


class Node:
    """A sink or stream. `noticed` is when it was said that it has changed, 0.0 where that has been told."""

    __slots__ = (
        *("again", "channels", "done", "index", "is_in_flight", "is_seen", "kind", "level"),
        *("muted", "noticed", "path", "signal", "timer", "waiting"),
    )

    def __init__(self, kind: int, index: int) -> None:
        self.kind = kind
        self.index = index
        self.path = f"{ROOT}/{FOLDERS[kind]}/{index}"
        self.level = self.noticed = 0.0
        self.channels = 0
        self.muted = self.is_in_flight = self.again = self.is_seen = False
        self.waiting: list[Wanted] = []
        self.timer: asyncio.TimerHandle | None = None
        self.signal = marshalled(_changed(self.path, NODE, "Volume", Variant("d", 0.0)))
        self.done: libpulse.Done


def _changed(path: str, interface: str, name: str, value: Variant) -> Message:
    body = [interface, {name: value}, []]
    return Message(
        message_type=MessageType.SIGNAL,
        path=path,
        interface=PROPERTIES,
        member="PropertiesChanged",
        signature="sa{sv}as",
        body=body,
    )


class Plain:
    """Follows the server, announces what differs, and answers. Streams of `app`, if any, are moved to the sink called `sink`."""

    def __init__(self, bus: BusConnection, app: bytes, sink: bytes) -> None:
        self._bus = bus
        self._app, self._sink = app, sink
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[tuple[int, int], Node] = {}
        self._by_path: dict[str, Node] = {}
        self._sinks: dict[bytes, int] = {}
        self._default_sink = b""
        self._is_listed = False
        self._to_signal: deque[float] = deque(maxlen=KEPT)
        self._to_move: deque[float] = deque(maxlen=KEPT)
        self._read = {SINK: self._sink_read, STREAM: self._stream_read}
        self._calls = {
            (PROPERTIES, "Get"): self._get,
            (MIXER, "SetVolume"): self._set_volume,
            (MIXER, "Delays"): self._delays,
        }
        self._server: libpulse.Connection

    # --- the sound server

    def follow(self, server: libpulse.Connection) -> None:
        """Subscribe, then list."""
        self._server = server
        mask = c.PA_SUBSCRIPTION_MASK_SINK | c.PA_SUBSCRIPTION_MASK_SINK_INPUT | c.PA_SUBSCRIPTION_MASK_SERVER
        server.command(libpulse.subscribe, mask, done=_ignore)
        self._look_at_server()
        server.fetch(LIST[SINK], read=self._sink_read, seen=self._seen, done=_ignore)
        server.fetch(LIST[STREAM], read=self._stream_read, seen=self._seen, done=self._listed)

    def _listed(self, _error: MixerError | None) -> None:
        self._is_listed = True
        self._bus.send(_changed(ROOT, MIXER, "Connected", Variant("b", value=True)))
        self._loop.call_later(SETTLED, settle, self._loop.call_soon)

    def on_notice(self, event: int, index: int) -> None:
        """Look at what the server names."""
        kind = event & FACILITY_BITS
        if kind == SERVER:
            self._look_at_server()
            return
        node = self._nodes.get((kind, index))
        if event & TYPE_BITS == REMOVE:
            if node is not None:
                self._drop(node)
            return
        if node is None:
            node = self._add(kind, index)
        if not node.noticed:
            node.noticed = monotonic()
        self._look(node)

    def _look_at_server(self) -> None:
        self._server.fetch_single(
            libpulse.get_server, read=_default_sink, seen=self._default_seen, done=_ignore
        )

    def _default_seen(self, name: bytes) -> None:
        self._default_sink = name

    def _add(self, kind: int, index: int) -> Node:
        node = Node(kind, index)
        node.done = partial(self._fetched, node)
        self._by_path[node.path] = self._nodes[kind, index] = node
        return node

    def _drop(self, node: Node) -> None:
        del self._nodes[node.kind, node.index], self._by_path[node.path]
        if node.timer is not None:
            node.timer.cancel()
        for wanted in node.waiting:
            self._bus.fail(wanted.call, NOT_FOUND, "That object has just gone.")

    def _look(self, node: Node) -> None:
        if node.is_in_flight:
            node.again = True
            return
        node.is_in_flight = True
        kind = node.kind
        self._server.fetch(FETCH[kind], node.index, read=self._read[kind], seen=self._seen, done=node.done)

    def _fetched(self, node: Node, _error: MixerError | None) -> None:
        node.is_in_flight = False
        if node.again:
            node.again = False
            self._look(node)

    def _sink_read(self, address: int) -> Fields:
        name, index, volume, mute = _read_sink(address)
        return SINK, index, volume, mute, ctypes.string_at(name)

    def _stream_read(self, address: int) -> Fields:
        index, volume, mute, proplist = _read_stream(address)
        name = b""
        if self._app:
            node = self._nodes.get((STREAM, index))
            if node is None or not node.is_seen:
                name = _gets(proplist, b"application.name") or b""
        return STREAM, index, volume, mute, name

    def _seen(self, fields: Fields) -> None:
        """Tell what differs, answer who has asked for it, and write that at once."""
        kind, index, volume, mute, name = fields
        node = self._nodes.get((kind, index)) or self._add(kind, index)
        count, muted = volume[0], bool(mute)
        level = max(_VOLUMES[count].unpack_from(volume, 4)) / NORM
        differs, mutes = level != node.level, muted is not node.muted
        node.channels, node.level, node.muted = count, level, muted
        if not node.is_seen:
            node.is_seen = True
            self._come(node, name)
        elif differs or mutes or node.waiting:
            bus = self._bus
            bus.hold()
            if differs:
                _put_double(node.signal, len(node.signal) + _VALUE_AT, level)
                bus.send_marshalled(node.signal)
            if mutes:
                bus.send(_changed(node.path, NODE, "Muted", Variant("b", muted)))
            if node.waiting:
                self._answer(node)
            bus.release()
            if node.noticed and (differs or mutes):
                self._to_signal.append(1000 * (monotonic() - node.noticed))
        node.noticed = 0.0

    def _come(self, node: Node, name: bytes) -> None:
        """Keep the name of a sink; move a stream that is to be on another."""
        if node.kind == SINK:
            self._sinks[name] = node.index
        elif self._app and name.startswith(self._app):
            self._move(node)

    def _move(self, node: Node) -> None:
        sink = self._sinks[self._sink]
        self._server.command(MOVE, node.index, sink, done=_tell_moved)
        self._to_move.append(1000 * (monotonic() - node.noticed))

    # --- calls

    def on_call(self, call: Message) -> bool:
        """Carry out a call."""
        carry_out = self._calls.get((call.interface or "", call.member or ""))
        if carry_out is None:
            self._bus.fail(call, "org.freedesktop.DBus.Error.UnknownMethod", "There is no such method.")
        else:
            carry_out(call)
        return True

    def _get(self, call: Message) -> None:
        node, name = self._by_path.get(call.path or ""), call.body[1]
        if node is None:
            self._bus.reply_value(call, "b", self._is_listed)
        elif name == "Volume":
            self._bus.reply_value(call, "d", node.level)
        elif name == "Muted":
            self._bus.reply_value(call, "b", node.muted)
        else:
            self._bus.reply_value(call, "u", node.index)

    def _set_volume(self, call: Message) -> None:
        target, volume, _ = call.body
        node = self._named(target)
        if node is None:
            self._bus.fail(call, NOT_FOUND, f"There is no {target}.")
            return
        if not 0 <= volume <= 1.5:  # noqa: PLR2004 - as in C
            self._bus.fail(call, INVALID, "Not that.")
            return
        wanted = Wanted(call, volume)
        node.waiting.append(wanted)
        raw, count = int(volume * NORM), node.channels
        volumes = _CVOLUMES[count].pack(count, *(raw,) * count)
        acknowledged = partial(self._acknowledged, node, wanted)
        self._server.command(SET_VOLUME[node.kind], node.index, volumes, done=acknowledged)

    def _named(self, target: str) -> Node | None:
        if target == "@sink":
            return self._nodes.get((SINK, self._sinks.get(self._default_sink, -1)))
        kind, _, index = target.partition(":")
        return self._nodes.get((KINDS[kind], int(index))) if kind in KINDS and index.isdecimal() else None

    def _acknowledged(self, node: Node, wanted: Wanted, _error: MixerError | None) -> None:
        wanted.is_acknowledged = True
        self._answer(node)
        if node.waiting and node.timer is None:
            node.timer = self._loop.call_later(SHOWN_SOON, self._give_up, node)

    def _answer(self, node: Node) -> None:
        """Answer the calls whose volume the server shows by now, and those before, which have been overtaken."""
        shown = node.level
        for place, wanted in reversed(list(enumerate(node.waiting))):
            if wanted.is_acknowledged and abs(wanted.volume - shown) < NEAR:
                self._reply_to(node, place + 1)
                return

    def _give_up(self, node: Node) -> None:
        """Answer all: what is acknowledged and not shown soon never may be."""
        node.timer = None
        self._reply_to(node, len(node.waiting))

    def _reply_to(self, node: Node, count: int) -> None:
        """Answer the first so many calls, as far as they are acknowledged."""
        waiting = node.waiting
        node.waiting = [wanted for wanted in waiting[:count] if not wanted.is_acknowledged] + waiting[count:]
        for wanted in waiting[:count]:
            if wanted.is_acknowledged:
                self._bus.reply(wanted.call, "d", [node.level])

    def _delays(self, call: Message) -> None:
        self._bus.reply(call, "adad", [[*self._to_signal], [*self._to_move]])
        self._to_signal.clear()
        self._to_move.clear()

    # --- the socket

    def listen(self, path: Path) -> None:
        """Answer lines at a socket."""
        path.unlink(missing_ok=True)
        listening = socket(AF_UNIX)
        listening.bind(str(path))
        listening.listen(8)
        self._loop.add_reader(listening, self._let_in, listening)

    def _let_in(self, listening: socket) -> None:
        connection, _ = listening.accept()
        self._loop.add_reader(connection, self._on_data, connection, bytearray())

    def _on_data(self, connection: socket, text: bytearray) -> None:
        """Answer the lines that are whole, and keep the rest in `text`."""
        data = b""
        with suppress(OSError):
            data = connection.recv(4096)
        if not data:
            self._loop.remove_reader(connection)
            connection.close()
            return
        text += data
        while (end := text.find(b"\n")) >= 0:
            line = text[:end].decode()
            del text[: end + 1]
            with suppress(OSError):
                connection.send(self._answer_to(line))

    def _answer_to(self, line: str) -> bytes:
        command, _, target = line.partition(" ")
        node = self._named(target.strip()) if command == "GET_VOLUME" else None
        return b"ERROR Not that.\n" if node is None else f"OK {round(node.level, DIGITS)}\n".encode()


def _default_sink(address: int) -> bytes:
    """Read the name of the default sink of a `pa_server_info`."""
    (name,) = _read_server(address)
    return ctypes.string_at(name) if name else b""


def _tell_moved(error: MixerError | None) -> None:
    print("moved", int(error is None))


def _ignore(_error: MixerError | None) -> None:
    pass


async def serve(name: str, app: str, sink: str) -> None:
    """Serve until the sound server goes away."""
    ended = asyncio.Event()
    bus = await BusConnection.open()
    plain = Plain(bus, app.encode(), sink.encode())
    bus.serve(plain.on_call, _no_name)
    plain.listen(Path(os.environ["XDG_RUNTIME_DIR"], name))
    server = libpulse.Connection("plain", plain.on_notice, ended.set)
    await asyncio.gather(bus.own(name), server.connect())
    plain.follow(server)
    await ended.wait()


def _no_name(_name: str) -> None:
    sys.exit("the name is somebody else's")


def main() -> None:
    """Serve under the name that is given."""
    name, app, sink = (*sys.argv[1:], "", "")[:3]
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(PromptSelector())) as runner:
        runner.run(serve(name, app, sink))
