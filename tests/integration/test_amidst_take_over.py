"""What comes in the midst of a take-over is in force after it, and opens nothing before its time."""

import asyncio
import json
import os
import signal
import sys

from calls import called
from dbus_fast import Message, MessageType, Variant
from service import Service
from session import PATIENCE, Session
from talk import place
from test_rules_on_the_bus import wait_for_names
from test_shared_memory import path_of
from test_stopped_take_over import patient, remembered, with_silent_radio
from test_take_over import SUCCESSION, handed, owner_of, taken

OPEN = f"pwmixer-{os.getuid()}"

LATE = """
from pwmixer_dbus import daemon, lanes, succession
from pwmixer_dbus.outlets.bus import succession as on_the_bus

daemon.GIVE_UP = lanes.GIVE_UP = succession.UNASKED = succession.UNTAKEN = on_the_bus.PATIENCE = 3600
daemon.main()
"""
"""The service, but where it gives up what the sound server does not do within some seconds it waits for an hour."""


SLOW = """
import os

from pwmixer_dbus import daemon

sync = os.fsync


def sync_late(descriptor):
    with open(os.environ["XDG_RUNTIME_DIR"] + "/disk", "rb"):  # which somebody has to write to
        sync(descriptor)


os.fsync = sync_late
daemon.main()
"""
"""The service, on a disk that takes as long as the test likes."""


def open_places(session: Session) -> list[str]:
    """Name what is there of the socket and the shared memory."""
    places = (path_of(session), session.runtime / "pwmixer-else", place(session))
    return [path.name for path in places if path.exists()]


async def edit(service: Service, text: str) -> None:
    """Write the configuration, and wait until a service has read it."""

    def has_read() -> bool:
        return "the configuration has been read again" in service.log()

    service.session.configure(text)
    await asyncio.to_thread(service.session.wait_for, has_read, "the edited configuration to be read")


def test_who_has_handed_over_opens_nothing_in_the_place_of_its_heir(session: Session) -> None:
    session.configure("")
    old = patient(session, name="old")
    session.wait_for_child("old", old.is_owner, "to own its name")
    owner = owner_of(old)

    async def die_halfway() -> None:
        bus = await taken(session)
        await handed(bus, owner)
        assert open_places(session) == [OPEN]
        await edit(old, '[volume]\nmax = 1.2\n[shared_memory]\nname = "pwmixer-else"\n')
        assert open_places(session) == [OPEN]
        bus.disconnect()

    asyncio.run(die_halfway())
    session.wait_for(lambda: owner_of(old) == owner, "the old one to have its name again")
    session.wait_for(lambda: open_places(session) == ["pwmixer-else", "socket"], "all to be open again")
    assert old.get("MaxVolume") == 1.2
    old.stop()


def test_who_takes_over_opens_nothing_before_it_knows_what_there_is(session: Session) -> None:
    session.configure("")

    async def be_slow() -> Service:
        bus, asked = await taken(session), asyncio.get_running_loop().create_future()

        def hear(call: Message) -> bool:
            if call.member == "HandOver":
                asked.set_result(call)
            return call.member == "HandOver"

        bus.add_message_handler(hear)
        new = patient(session, "--replace", name="new")  # not of a thread, with which it would end
        async with asyncio.timeout(PATIENCE):
            call = await asked
        await edit(new, "[volume]\nmax = 1.2\n")
        assert open_places(session) == ["socket"], "whoever comes to the socket waits there"
        await bus.send(Message.new_error(call, "org.freedesktop.DBus.Error.Failed", "Too slow"))
        await asyncio.to_thread(new.wait_connected)
        bus.disconnect()
        return new

    new = asyncio.run(be_slow())
    assert open_places(session) == [OPEN, "socket"]
    assert new.get("MaxVolume") == 1.2
    new.stop()


def test_a_fade_that_is_asked_of_one_that_is_leaving_goes_over_too(session: Session) -> None:
    """By its own name, while it waits for the sound server."""
    old = patient(session, name="old")
    session.wait_for_child("old", old.is_owner, "to own its name")
    session.play("Film", sink="speakers")
    old.wait_for_stream("Film", device="speakers")
    owner, pulse = owner_of(old), session.pid_of("pipewire-pulse")

    async def fade_late() -> list[float]:
        bus = await taken(session)
        volume = called("SetVolume", "sda{sv}", "sink:speakers", 0.7, {}, to=owner)
        fade = called("FadeVolume", "sdua{sv}", "app:film", 0.2, 3_600_000, {}, to=owner)
        os.kill(pulse, signal.SIGSTOP)
        try:
            setting = asyncio.create_task(bus.call(volume))
            leaving = asyncio.create_task(handed(bus, owner))
            is_leaving = lambda: not place(session).exists()  # noqa: E731
            await asyncio.to_thread(session.wait_for, is_leaving, "the old one to be leaving")
            reply = await bus.call(fade)
            assert reply is not None
            assert reply.message_type is MessageType.METHOD_RETURN
        finally:
            os.kill(pulse, signal.SIGCONT)
        left = json.loads((await leaving).body[0])
        await setting
        bus.disconnect()
        return [fade["volume"] for fade in left["fades"]]

    assert asyncio.run(fade_late()) == [0.2]
    session.wait_for(lambda: owner_of(old) == owner, "the old one to have its name again")
    assert old.stream_of("Film")["volume"] > 0.9
    old.stop()


def test_what_the_sound_server_does_after_a_take_over_is_kept_and_undone_by_the_heir(
    session: Session,
) -> None:
    old = patient(session, name="old", program=LATE)
    session.wait_for_child("old", old.is_owner, "to own its name")
    session.play("Radio", sink="speakers")
    old.wait_for_stream("Radio", device="speakers")
    owner, pulse = owner_of(old), session.pid_of("pipewire-pulse")

    async def ask_between() -> Service:
        bus, asked = await taken(session), asyncio.get_running_loop().create_future()

        def hear(call: Message) -> bool:
            if call.member == "HandOver":
                asked.set_result(call)
            return call.member in {"HandOver", "Taken"}

        bus.add_message_handler(hear)
        new = patient(session, "--replace", name="new", program=LATE)
        async with asyncio.timeout(PATIENCE):
            call = await asked  # so it has looked already
        move = ("app:radio", "headset", {"remember": Variant("b", True)})
        os.kill(pulse, signal.SIGSTOP)
        try:
            requests = (
                called("SetVolume", "sda{sv}", "app:radio", 0.3, {}, to=owner),
                called("Move", "ssa{sv}", *move, to=owner),
            )
            asking = [asyncio.create_task(bus.call(each)) for each in requests]
            await asyncio.sleep(0)  # they are sent first, and the bus keeps the order
            left = await handed(bus, owner)
            assert len(json.loads(left.body[0])["asked"]["under_way"]) == 2
            assert not any(each.done() for each in asking)
            await bus.send(Message.new_method_return(call, "s", left.body))
            await asyncio.to_thread(session.wait_for_child, "new", new.is_owner, "to own its name")
            await asyncio.to_thread(session.wait_for, lambda: "took over" in new.log(), "its answers")
        finally:
            os.kill(pulse, signal.SIGCONT)
        replies = await asyncio.gather(*asking)
        assert [each and each.message_type for each in replies] == [MessageType.METHOD_RETURN] * 2
        await bus.send(called("Taken", to=owner, interface=SUCCESSION))
        bus.disconnect()
        return new

    new = asyncio.run(ask_between())
    wait_for_names(new, "Remembered: Radio")
    new.wait_for_stream("Radio", device="headset", volume=0.3)
    for step in ("the last of the two that came to its end", "the other one"):
        session.wait_for(lambda: new.call("Undo", "u", 1) == 1, step)
    new.wait_for_stream("Radio", device="speakers", volume=1.0)
    assert old.process is not None
    assert old.process.wait(PATIENCE) == 0
    for each in (old, new):
        each.stop()


def test_a_bad_configuration_that_is_mended_in_the_midst_of_it_counts_where_the_heir_dies(
    session: Session,
) -> None:
    """As long as it is a bad one from the start on, nothing is saved."""
    session.configure("[memory")
    old = patient(session, name="old")
    session.wait_for_child("old", old.is_owner, "to own its name")
    with_silent_radio(old)
    owner = owner_of(old)
    assert "may say that nothing is to be saved" in old.get("StateError")

    async def die_halfway() -> None:
        bus = await taken(session)
        await handed(bus, owner)
        await edit(old, "")
        bus.disconnect()

    asyncio.run(die_halfway())
    session.wait_for(lambda: owner_of(old) == owner, "the old one to have its name again")
    old.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    assert old.get("StateError") == ""
    old.stop(errors=True)
    assert remembered(session) == 0.3


def test_on_a_slow_disk_nothing_is_lost_and_the_heir_saves_what_the_old_one_could_not(
    session: Session,
) -> None:
    disk, state = session.runtime / "disk", session.state.parent
    os.mkfifo(disk)
    old = patient(session, name="old", program=SLOW)
    with_silent_radio(old)
    old.call("SetVolume", "sda{sv}", "app:radio", 0.5, 0)
    session.wait_for(lambda: list(state.glob(".state.json.*.tmp")), "the disk to be waited for")
    old.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    new = Service(session, name="new")
    new.process = session.spawn("new", sys.executable, "-X", "dev", "-m", "pwmixer_dbus.start", "--replace")
    session.wait_for_child("new", lambda: "took over" in new.log(), "to take over")
    (radio,) = new.describe()["apps"]
    assert radio["volume"] == 0.3
    session.wait_for(
        lambda: session.state.exists() and '"volume": 0.3' in session.state.read_text(), "it to save"
    )
    assert new.get("StateError") == ""
    writes = os.open(disk, os.O_RDWR)
    try:
        assert old.process is not None
        assert old.process.wait(PATIENCE) == 0
    finally:
        os.close(writes)
    new.stop()
    old.stop()
    assert remembered(session) == 0.3
