"""One connection of our own that sends what no toolkit would: hostile values by signature, and calls of all kinds.

Everything is derived from a seeded `random.Random`, so that a failure can be repeated.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

from calls import called, connected
from dbus_fast import Message, MessageFlag, MessageType, SignatureTree, SignatureType, Variant
from dbus_fast.aio import MessageBus
from service import ROOT, Service
from session import PATIENCE

from pwmixer_dbus.outlets.bus.connection import _PatientSocket

PROPERTIES = "org.freedesktop.DBus.Properties"

Answer = TypeVar("Answer")

NUMBERS = (
    *(math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 0.0, -1.0, 1.0, 0.5, 0.3),
    *(1.0000001, 1.5, 2.0, 65536.0, 4294967296.0, 0.1 + 0.2),
)
TEXTS = (
    *("", " ", "\t\n", "\x01\x1b[31m\x7f", "a\x85b", "\uffff", "\ufdd0", "\u202ereversed\u202c", "🎧" * 200),
    *("x" * 512, "x" * 513, "x" * 70_000, "%s%n{0}", "../../etc/passwd", "'; --", '"\x1fa = "b', "-1", "NaN"),
    *(
        "@sink",
        "@source",
        "@SINK",
        "@",
        "sink:",
        "sink:*",
        "sink:[",
        "sink:[!",
        "sink:" + "*" * 500,
        "source:*",
    ),
    *("sink:speakers", "sink:nowhere", "app:", "app:*", "app:radio", "app:name:radio", "stream:", "stream:*"),
    *("stream:1", "stream:-1", "stream:٣", "stream:99999999999999999999", "stream:1e3", "stream: 1", "pid:"),
    *("pid:0", "pid:1", "pid:-1", "pid:4294967296", "card:*", "group:x", "on", "off", "toggle", "ON", "yes"),
    *(f"{ROOT}/sinks/speakers", f"{ROOT}/streams/1", f"{ROOT}/streams/01", "/org/pwmixer/Default/sink", "/"),
    *(ROOT, f"{ROOT}/", f"{ROOT}//", f"{ROOT}/sinks/_", f"{ROOT}/sinks/_zz", "//", "speakers", "headset"),
)
PATHS = (
    *("/", ROOT, f"{ROOT}/sinks", f"{ROOT}/sinks/speakers", f"{ROOT}/sinks/nowhere", f"{ROOT}/streams/1"),
    *(f"{ROOT}/streams/99999999999999999999", f"{ROOT}/sinks/_", f"{ROOT}/sinks/_g1", f"{ROOT}/sinks/_4"),
    *(f"{ROOT}/sinks/_c3_28", f"{ROOT}/apps/name_3aradio", "/org/pwmixer/Default/sink", "/org/pwmixer"),
    *("/org/pwmixer/Mixer2", f"{ROOT}/sinks/speakers/deeper", "/" + "a" * 4000, f"{ROOT}/sources/microphone"),
)
OPTIONS = ("context", "quiet", "limit", "remember", "", "x" * 5000, "\x01", "Context")
SIGNATURES = ("s", "d", "b", "u", "o", "v", "as", "ad", "a{sv}", "x", "y", "(sd)", "aas", "t")


class Fuzz:
    """A connection, and hostile values."""

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.random = random.Random(0)  # noqa: S311 - a failure has to be repeatable

    async def send(
        self, path: str, interface: str | None, member: str, signature: str, body: list[Any]
    ) -> Message:
        """Call the service; return its answer, which has to come soon."""
        call = called(member, signature, *body, path=path, interface=interface)
        reply = await asyncio.wait_for(self.bus.call(call), PATIENCE)
        assert reply is not None
        return reply

    async def shout(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        """Call the service without wanting an answer."""
        call = called(member, signature, *body, path=path, interface=interface)
        call.flags = MessageFlag.NO_REPLY_EXPECTED
        await self.bus.send(call)

    async def introspect(self, path: str) -> ET.Element:
        """Return the introspection data of a path."""
        reply = await self.send(path, "org.freedesktop.DBus.Introspectable", "Introspect", "", [])
        assert reply.message_type is MessageType.METHOD_RETURN
        return ET.fromstring(reply.body[0])  # noqa: S314 - it is what our own service says

    async def walk(self, path: str = "/") -> dict[str, ET.Element]:
        """Return the introspection data of all paths."""
        found = {path: await self.introspect(path)}
        for node in found[path].findall("node"):
            found |= await self.walk(f"{path.rstrip('/')}/{node.attrib['name']}")
        return found

    def values(self, signature: str) -> list[Any]:
        """Return hostile values of the right types."""
        return [self._value(kind) for kind in SignatureTree(signature).types]

    def wrong(self) -> tuple[str, list[Any]]:
        """Return hostile values of any types, with their signature."""
        signature = "".join(self.random.choices(SIGNATURES, k=self.random.randrange(4)))
        return signature, self.values(signature)

    def variant(self, signature: str | None = None) -> Variant:
        """Return a hostile value in a variant."""
        signature = signature or self.random.choice(SIGNATURES)
        return Variant(signature, self.values(signature)[0])

    def _value(self, kind: SignatureType) -> Any:
        choose = self.random.choice
        simple = {"s": TEXTS, "o": PATHS, "g": SIGNATURES, "d": NUMBERS, "b": (True, False)}
        match kind.token:
            case "v":
                return self.variant(choose([s for s in SIGNATURES if s != "v"]))
            case "(":
                return [self._value(child) for child in kind.children]
            case "a" if kind.signature.startswith("a{"):
                return self._options(kind.children[0].children[1])
            case "a":
                return [self._value(kind.children[0]) for _ in range(choose((0, 1, 2, 3, 40)))]
            case token:
                return choose(simple.get(token, (0, 1, 2, 255)))

    def _options(self, kind: SignatureType) -> dict[str, Any]:
        if self.random.random() < 0.5:
            return {}
        names = self.random.sample(OPTIONS, self.random.randrange(1, 4))
        return {name: self._option(name) if kind.signature == "v" else self._value(kind) for name in names}

    def _option(self, name: str) -> Variant:
        right = {"context": "s", "quiet": "b", "limit": "d", "remember": "b"}
        return self.variant(right.get(name) if self.random.random() < 0.7 else None)


def on_the_bus(service: Service, work: Callable[[Fuzz], Awaitable[Answer]]) -> Answer:
    """Do some work with a connection of its own."""

    async def main() -> Answer:
        bus = await connected(service.session)
        writer: Any = bus._writer
        writer.sock = _PatientSocket(writer.sock)  # dbus-fast takes a full socket for a lost connection
        try:
            return await work(Fuzz(bus))
        finally:
            bus.disconnect()
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    return asyncio.run(main())
