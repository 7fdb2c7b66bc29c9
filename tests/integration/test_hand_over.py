"""No call is lost when the service ends or hands over, whatever the moment."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from calls import called, connected, of_bus
from dbus_fast import Message, MessageType, Variant
from service import NAME, Service
from session import PATIENCE, Session
from talk import Talk, place


def test_no_call_is_lost_while_one_instance_hands_over_to_another(service: Service) -> None:
    answers = asked_over_a_hand_over(
        service, lambda *asked: asyncio.run(call_until(*asked)), is_fine="answered"
    )
    assert set(answers) == {"answered"}


def test_the_socket_is_there_all_the_while_and_whoever_has_asked_is_answered(service: Service) -> None:
    answers = asked_over_a_hand_over(service, say_until, is_fine="OK")
    # Who has connected in the last instant of the old one, and said nothing yet, is hung up upon.
    assert set(answers) <= {"OK", "hung up"}
    assert answers["hung up"] <= 1


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_in_the_instant_in_which_it_owns_its_name(
    bare_session: Session, sign: signal.Signals
) -> None:
    for turn in range(5):
        process = asyncio.run(started(bare_session, f"hasty-{turn}"))
        process.send_signal(sign)
        assert process.wait(PATIENCE) == 0, bare_session.log_tail(f"hasty-{turn}", 50)


def test_the_first_call_is_answered_with_what_there_is(session: Session) -> None:
    """It may be that call by which the bus has started the service."""
    for turn in range(5):
        process = asyncio.run(started(session, f"first-{turn}"))
        described = Service(session).describe()
        assert described["connected"] is True
        assert described["defaults"]["sink"] == "speakers"
        process.terminate()
        assert process.wait(PATIENCE) == 0


def asked_over_a_hand_over(
    service: Service, ask: Callable[[threading.Event, Session, Counter[str]], None], *, is_fine: str
) -> Counter[str]:
    """Let a thread ask until another instance has taken over, and some time longer; return its answers, all of them."""
    session = service.session
    answers: Counter[str] = Counter()
    enough = threading.Event()
    caller = threading.Thread(target=ask, args=(enough, session, answers))
    caller.start()
    try:
        session.wait_for(lambda: answers[is_fine] > 100, "the first answers")
        new = Service(session, "--replace", name="new").start()
        assert service.process.wait(PATIENCE) == 0
        before = answers[is_fine]
        session.wait_for(lambda: answers[is_fine] > before + 100, "answers of the new one")
    finally:
        enough.set()
        caller.join(PATIENCE)
    assert not caller.is_alive(), "each is answered"
    new.stop()
    return answers


async def started(session: Session, name: str) -> subprocess.Popen[bytes]:
    """Start the service and return as soon as the bus tells that it owns its name."""
    bus = await connected(session)
    owned = asyncio.Event()

    def look(message: Message) -> None:
        if message.member == "NameOwnerChanged" and message.body[0] == NAME and message.body[2]:
            owned.set()

    bus.add_message_handler(look)
    await bus.call(of_bus("AddMatch", "s", f"type='signal',member='NameOwnerChanged',arg0='{NAME}'"))
    process = session.spawn(name, sys.executable, "-m", "pwmixer_dbus.daemon")
    await asyncio.wait_for(owned.wait(), PATIENCE)
    bus.disconnect()
    return process


def say_until(enough: threading.Event, session: Session, answers: Counter[str]) -> None:
    """Connect, ask and hang up, again and again."""
    while not enough.is_set():
        try:
            with Talk(place(session)) as talk:
                answers[talk.ask("GET_VOLUME @sink").split()[0]] += 1
        except (EOFError, ConnectionResetError, BrokenPipeError):
            answers["hung up"] += 1
        except OSError as error:
            answers[f"{type(error).__name__}: {error}"] += 1


async def call_until(enough: threading.Event, session: Session, answers: Counter[str]) -> None:
    """Call without a pause, a few at a time; count the answers, errors by their name."""
    bus = await connected(session)
    calls: tuple[tuple[str, str, *tuple[object, ...]], ...] = (
        ("SetVolume", "sda{sv}", "@sink", 0.5, {}),
        ("SetMuted", "ssa{sv}", "sink:headset", "on", {"quiet": Variant("b", True)}),
        ("Describe", "a{sv}", {}),
    )

    async def call(member: str, signature: str, *body: object) -> None:
        while not enough.is_set():
            reply = await asyncio.wait_for(bus.call(called(member, signature, *body)), PATIENCE)
            failed = reply.message_type is MessageType.ERROR
            answers[str(reply.error_name) if failed else "answered"] += 1

    await asyncio.gather(*(call(*arguments) for arguments in calls * 4))
    bus.disconnect()
