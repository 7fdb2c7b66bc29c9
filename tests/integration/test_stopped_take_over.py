"""Whoever is told to end in the middle of a take-over ends at once, and what has been learned until then is saved or lives on."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from calls import called, connected
from dbus_fast import Message, MessageType
from service import Service
from session import PATIENCE, Session
from test_take_over import handed, owner_of, taken

SIGNALS = pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])

PATIENT = """
from pwmixer_dbus import daemon, lanes, succession
from pwmixer_dbus.outlets.bus import succession as on_the_bus
from pwmixer_dbus.pulse import server

daemon.FIRST_LOOK_BESIDE = daemon.DRAIN = lanes.GIVE_UP = server.CONNECT_TIMEOUT = 3600
succession.UNASKED = succession.UNTAKEN = on_the_bus.PATIENCE = 3600
daemon.main()
"""
"""The service, but where it waits some seconds for another instance or the sound server it waits for an hour."""


def patient(session: Session, *arguments: str, name: str, program: str = PATIENT) -> Service:
    """Start a service that waits for an hour; return when it listens to signals."""
    service = Service(session, name=name)
    service.process = session.spawn(name, sys.executable, "-X", "dev", "-c", program, "--debug", *arguments)
    status = Path(f"/proc/{service.process.pid}/status")

    def listens() -> int:
        (caught,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        return int(caught, 16) & 1 << signal.SIGUSR2 - 1  # the last one

    session.wait_for_child(name, listens, "to listen to signals")
    return service


def ends(service: Service, sign: signal.Signals) -> None:
    """Tell a service to end, and check that it does, and well."""
    service.process.send_signal(sign)
    assert service.process.wait(PATIENCE) == 0, service.log()
    service.stop()


def with_silent_radio(service: Service) -> None:
    """Have an application known that does not play."""
    service.wait_connected()
    player = service.session.play("Radio")
    service.wait_for_stream("Radio")  # or it has gone before a busy service has looked at it
    player.kill()
    service.session.wait_for(
        lambda: [app["streams"] for app in service.describe()["apps"]] == [[]],
        "an application that has ended",
    )


def remembered(session: Session) -> float:
    """Return at which volume the application plays the next time, as a new service says."""
    again = Service(session, name="again").start()
    (app,) = again.describe()["apps"]
    again.stop()
    return float(app["volume"])


@SIGNALS
def test_who_takes_over_can_be_ended_while_it_looks_first(session: Session, sign: signal.Signals) -> None:
    old = Service(session).start()
    pulse = session.pid_of("pipewire-pulse")
    os.kill(pulse, signal.SIGSTOP)
    try:
        ends(patient(session, "--replace", name="new"), sign)
    finally:
        os.kill(pulse, signal.SIGCONT)
    assert old.is_owner()
    old.stop()


@SIGNALS
def test_who_takes_over_can_be_ended_while_the_other_one_hands_over(
    session: Session, sign: signal.Signals
) -> None:
    async def be_slow() -> None:
        bus, asked = await taken(session), asyncio.Event()

        def hear(call: Message) -> bool:
            if call.member == "HandOver":
                asked.set()
            return call.member == "HandOver"  # and there is no answer

        bus.add_message_handler(hear)
        new = await asyncio.to_thread(patient, session, "--replace", name="new")
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
        await asyncio.to_thread(ends, new, sign)
        bus.disconnect()

    asyncio.run(be_slow())


@SIGNALS
def test_whoever_has_called_one_that_takes_over_and_is_to_end_is_answered_with_what_there_is(
    session: Session, sign: signal.Signals
) -> None:
    """As an application that is only known of the file, which it reads when the other one has handed over."""
    old = Service(session, name="old").start()
    with_silent_radio(old)
    old.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    old.stop()

    async def hand_over_late() -> None:
        bus, client = await taken(session), await connected(session)
        asked = asyncio.get_running_loop().create_future()

        def hear(call: Message) -> bool:
            if call.member == "HandOver":
                asked.set_result(call)
            return call.member == "HandOver"

        bus.add_message_handler(hear)
        new = await asyncio.to_thread(patient, session, "--replace", name="new")
        async with asyncio.timeout(PATIENCE):
            call = await asked
        calling = asyncio.create_task(client.call(called("SetVolume", "sda{sv}", "app:radio", 0.4, {})))
        await client.call(called("Ping", interface="org.freedesktop.DBus.Peer"))  # so the call has come
        new.process.send_signal(sign)
        await bus.send(Message.new_error(call, "org.freedesktop.DBus.Error.Failed", "Too slow"))
        reply = await calling
        assert reply is not None
        assert (reply.error_name, reply.body) == (None, [0.4])
        for each in (bus, client):
            each.disconnect()
        assert await asyncio.to_thread(new.process.wait, PATIENCE) == 0
        await asyncio.to_thread(new.stop)

    asyncio.run(hand_over_late())
    assert remembered(session) == 0.4


@SIGNALS
@pytest.mark.parametrize("asks", [True, False])
def test_who_is_taken_over_from_can_be_ended_and_has_saved_what_it_learned_last(
    session: Session, sign: signal.Signals, asks: bool
) -> None:
    old = patient(session, name="old")
    session.wait_for_child("old", old.is_owner, "to own its name")
    with_silent_radio(old)
    owner = owner_of(old)

    async def take_and_end_it() -> None:
        bus = await taken(session)
        reply = await bus.call(called("SetVolume", "sda{sv}", "app:radio", 0.3, {}, to=owner))
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN
        if asks:
            await handed(bus, owner)
        await asyncio.to_thread(ends, old, sign)
        bus.disconnect()

    asyncio.run(take_and_end_it())
    assert remembered(session) == 0.3


@SIGNALS
def test_whoever_calls_one_that_has_handed_over_and_is_to_end_is_answered_by_its_heir(
    session: Session, sign: signal.Signals
) -> None:
    old = patient(session, name="old")
    session.wait_for_child("old", old.is_owner, "to own its name")
    with_silent_radio(old)
    owner = owner_of(old)

    async def ask_between() -> None:
        bus, client = await taken(session), await connected(session)
        await handed(bus, owner)
        asked = asyncio.create_task(client.call(called("Describe", "a{sv}", {}, to=owner)))
        await asyncio.to_thread(ends, old, sign)
        reply = await asked
        assert reply is not None
        # That is from the heir, which is none of ours.
        assert reply.error_name == "org.freedesktop.DBus.Error.UnknownMethod"
        for each in (bus, client):
            each.disconnect()

    asyncio.run(ask_between())


@pytest.mark.parametrize("milliseconds", [0, 40, 80, 120])
def test_both_can_be_ended_at_any_moment_and_nothing_is_lost(session: Session, milliseconds: int) -> None:
    """As at the end of a session, which ends all that belongs to it."""
    old = Service(session, name="old").start()
    with_silent_radio(old)
    old.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    new = patient(session, "--replace", name="new")
    with contextlib.suppress(subprocess.TimeoutExpired):
        new.process.wait(milliseconds / 1000)
    processes = [old.process, new.process]
    for process in processes:
        process.terminate()
    assert [process.wait(PATIENCE) for process in processes] == [0, 0]
    for each in (old, new):
        each.stop()
    assert remembered(session) == 0.3
