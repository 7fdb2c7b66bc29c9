"""What the move of a new stream waits for is in the file of byte code as it is, whatever was called in an earlier start."""

import importlib
import sys
from pathlib import Path
from types import FrameType
from typing import Self

import pytest
from test_mixer import Desk, on_a_desk, sink, stream

from pwmixer_dbus.core.commands import Command, MoveStream
from pwmixer_dbus.core.events import Seen, Snapshot
from pwmixer_dbus.core.model import Client, Kind, Server
from pwmixer_dbus.core.rules import rule_from_plain
from pwmixer_dbus.router import Router
from pwmixer_dbus.startup import bundle, bundling
from pwmixer_dbus.startup.bundling import AT_ONCE

RULED = rule_from_plain({"name": "ruled", "match": {"app": "re:^music$"}, "to": "sink3"})
KNOWN = {"application.name": "Music", "application.process.binary": "music", "node.autoconnect": "true"}


class Noted:
    """Notes what is called of ours, as `module:function`, while it is entered."""

    def __init__(self) -> None:
        self.called: set[str] = set()

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.called.add(f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}")


def put_off(module: str, called: set[str]) -> set[str]:
    """List the functions of a module that are put off where these were called."""
    loaded = importlib.import_module(module)
    source = Path(str(loaded.__file__))
    bare = compile(bundling._bare(source.read_bytes()), str(source), "exec", dont_inherit=True)
    places: bundling.Bodies = {}
    bundling.put_off(bundling.without_columns(bare), loaded, called, bytearray(), places)
    return {f"{module}:{qualname}" for qualname, _ in places.values()}


@on_a_desk
async def test_nothing_is_put_off_that_the_move_of_the_first_stream_waits_for(desk: Desk) -> None:
    Router(desk.mixer).set_rules((RULED,))
    with Noted() as start:
        desk.mixer.on_event(Snapshot(server=Server(default_sink="sink1"), devices=(sink(), sink(3))))
    until_sent = set[str]()

    def sending(command: Command, _done: object) -> None:
        assert command == MoveStream(key=(Kind.PLAYBACK, 11), device=3)
        until_sent.update(birth.called)

    desk.send = sending  # type: ignore[method-assign,assignment]
    with Noted() as birth:
        desk.mixer.on_event(Seen(record=Client(index=7, name="music", properties=KNOWN)))
        desk.mixer.on_event(Seen(record=stream(11, client=7, device=None, properties=KNOWN)))
    ours = {name.partition(":")[0] for name in until_sent if name.startswith("pwmixer_dbus.")}
    ours.discard(
        "pwmixer_dbus.core.records"
    )  # makes methods at their first use, in this process or in any start
    late = {name for module in ours for name in put_off(module, start.called | AT_ONCE) & until_sent}
    assert {name for module in ours for name in put_off(module, start.called) & until_sent}
    assert not late, f"these belong into startup/at_once.py: {sorted(late)}"


@pytest.mark.parametrize("name", sorted(AT_ONCE))
def test_what_is_never_put_off_is_there(name: str) -> None:
    module, _, qualname = name.partition(":")
    found = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    assert bundle._unwrapped(found) is not None
