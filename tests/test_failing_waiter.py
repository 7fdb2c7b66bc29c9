"""An outlet that fails, on its answer or whatever else it is called for, hurts neither the others nor the core."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from test_mixer import SINK, STREAM, USER, Desk, on_a_desk, stream

from pwmixer_dbus.core import verbs
from pwmixer_dbus.core.commands import MoveStream, SetVolume
from pwmixer_dbus.core.events import Gone, Seen
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.lanes import PACE


def fail(error: object) -> None:
    raise ZeroDivisionError(error)


def ask(desk: Desk, command: Any, *, failing: bool) -> None:
    answer = fail if failing else desk.answers.append
    desk.mixer.submit(verbs.Plan(commands=(command,)), USER, answer)


@pytest.mark.mistakes
@on_a_desk
async def test_a_waiter_that_fails_keeps_no_other_waiting(desk: Desk) -> None:
    for volume in (0.1, 0.2, 0.3):
        ask(desk, SetVolume(key=SINK, channels=(volume, volume)), failing=volume == 0.2)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    assert len(desk.answers) == 2


@pytest.mark.mistakes
@on_a_desk
async def test_a_waiter_that_fails_does_not_stop_the_event_that_answered_it(desk: Desk) -> None:
    ask(desk, MoveStream(key=STREAM, device=3), failing=True)
    desk.answer()
    desk.mixer.on_event(Seen(record=stream(device=3)))
    assert desk.mixer.pending == {}


@pytest.mark.mistakes
@on_a_desk
async def test_whoever_fails_on_a_request_keeps_nobody_from_it(desk: Desk) -> None:
    heard: list[str] = []
    for listen, name in ((desk.mixer.hear_first, "first"), (desk.mixer.hear, "last")):
        listen(failing)
        listen(noting(heard, name))
    desk.set_volume(0.3)
    desk.obey()
    assert (heard, desk.answers, len(desk.mixer.history)) == (["first", "last"], [None], 1)
    desk.mixer.submit(verbs.Plan(), USER, desk.answers.append)
    assert (heard, desk.answers) == (["first", "last"] * 2, [None, None])


@pytest.mark.mistakes
@on_a_desk
async def test_whoever_fails_after_a_change_keeps_nobody_from_what_follows_it(desk: Desk) -> None:
    heard: list[str] = []
    desk.mixer.when_told(failing)
    desk.mixer.when_told(noting(heard, "told"))
    desk.set_volume(0.3)
    desk.set_volume(0.4)
    desk.obey()
    assert (heard, desk.answers, len(desk.mixer.history)) == (["told"], [None], 1)
    await asyncio.sleep(PACE)
    desk.obey()
    assert (heard, desk.answers, desk.mixer.pending) == (["told"] * 2, [None, None], {})


@pytest.mark.mistakes
@on_a_desk
async def test_whoever_fails_on_what_was_put_off_keeps_no_event_from_being_applied(desk: Desk) -> None:
    heard: list[str] = []
    desk.mixer.before_more(failing)
    desk.mixer.before_more(noting(heard, "done"))
    desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=10))
    assert heard
    assert STREAM not in desk.mixer.state.streams


def failing(*_: object) -> None:
    raise ZeroDivisionError


def noting(heard: list[str], name: str) -> Callable[..., None]:
    return lambda *_: heard.append(name)
