"""An outlet that fails on its answer hurts neither the others nor the core."""

from typing import Any

from test_mixer import SINK, STREAM, USER, Desk, on_a_desk, stream

from pwmixer_dbus.core import verbs
from pwmixer_dbus.core.commands import MoveStream, SetVolume
from pwmixer_dbus.core.events import Gone, Seen
from pwmixer_dbus.core.model import Kind


def fail(error: object) -> None:
    raise ZeroDivisionError(error)


def ask(desk: Desk, command: Any, *, failing: bool) -> None:
    answer = fail if failing else desk.answers.append
    desk.mixer.submit(verbs.Plan(commands=(command,)), USER, answer)


@on_a_desk
async def test_a_waiter_that_fails_keeps_no_other_waiting(desk: Desk) -> None:
    for volume in (0.1, 0.2, 0.3):
        ask(desk, SetVolume(key=SINK, channels=(volume, volume)), failing=volume == 0.2)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    assert len(desk.answers) == 2


@on_a_desk
async def test_a_waiter_that_fails_does_not_stop_the_event_that_answered_it(desk: Desk) -> None:
    ask(desk, MoveStream(key=STREAM, device=3), failing=True)
    desk.answer()
    desk.mixer.on_event(Seen(record=stream(device=3)))
    assert desk.mixer.pending == {}
