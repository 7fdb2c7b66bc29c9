"""Clients of the socket, on real sockets and a loop whose time jumps: order, bounds, and what becomes of who misbehaves."""

import asyncio
import json
import os
import resource
import socket
from collections.abc import Callable, Coroutine
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from jumping import jumped
from test_mixer import MUSIC, SINK, STREAM, Desk, sink, snapshot

from pwmixer_dbus.announcer import RATE
from pwmixer_dbus.core.commands import MoveStream, SetMuted, SetVolume
from pwmixer_dbus.core.errors import AudioServerError
from pwmixer_dbus.core.events import Gone, Seen, Snapshot
from pwmixer_dbus.core.model import Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.outlets.socket import client as client_module
from pwmixer_dbus.outlets.socket import listener as listener_module
from pwmixer_dbus.outlets.socket.carry import Carrier
from pwmixer_dbus.outlets.socket.client import OWED, UNREAD
from pwmixer_dbus.outlets.socket.lines import LINE_LIMIT
from pwmixer_dbus.outlets.socket.link import PATIENCE
from pwmixer_dbus.outlets.socket.listener import CLIENTS, REST, Listener
from pwmixer_dbus.outlets.socket.place import listen_at


class Office(Desk):
    """A desk that can be reached over a socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.mixer.measures.clock = self.loop.time
        self.path = path
        self.reloads = 0
        self.listener = Listener(
            listen_at(path), Carrier(self.mixer, lambda _: None, self.reload), self.mixer
        )
        self.listener.begin()
        self.callers: list[Caller] = []

    def reload(self) -> None:
        self.reloads += 1

    def everything_takes_long(self) -> None:
        """Let a second pass between any two looks at the clock."""
        seconds = count(self.loop.time())
        self.mixer.measures.clock = lambda: next(seconds)

    def follow(self) -> None:
        """Do what the oldest request asks of whatever it is about, and show it."""
        command, done = self.unanswered.pop(0)
        records = self.mixer.state.devices if command.key[0].is_device else self.mixer.state.streams
        record = records[command.key]
        match command:
            case SetVolume(channels=channels):
                record = replace(record, channels=channels)
            case SetMuted(muted=muted):
                record = replace(record, muted=muted)
            case MoveStream(device=device) if isinstance(record, Stream):
                record = replace(record, device=device)
        self.mixer.on_event(Seen(record=record))
        done(None)

    def call(self, *, small: bool = False) -> "Caller":
        """Connect; `small` leaves little room for what is not read."""
        self.callers.append(Caller(self.path, small=small))
        return self.callers[-1]

    def close(self) -> None:
        for caller in self.callers:
            caller.socket.close()
        if self.path.exists():
            self.listener.close()

    @property
    def has_clients(self) -> int:
        return len(self.listener._clients)


class Caller:
    """Somebody who has connected."""

    def __init__(self, path: Path, *, small: bool) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.socket.connect(str(path))
        self.socket.setblocking(False)

    async def say(self, *lines: str | bytes, end: bytes = b"\n") -> None:
        for line in lines:
            await asyncio.get_running_loop().sock_sendall(
                self.socket, (line if isinstance(line, bytes) else line.encode()) + end
            )
        await settled()

    async def hear(self) -> list[str]:
        """Return the lines that have come."""
        await settled()
        heard = b""
        try:
            while piece := self.socket.recv(1 << 20):
                heard += piece
                await settled()
        except BlockingIOError:
            return heard.decode().splitlines()
        return [*heard.decode().splitlines(), "(end)"]


def snapshot_of_sinks(description: str) -> Snapshot:
    """Make a world in which both sinks are called like this."""
    return replace(snapshot(), devices=tuple(sink(index, description=description) for index in (1, 3)))


async def settled() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


Test = Callable[[Office], Coroutine[Any, Any, None]]


def in_an_office(test: Test) -> Callable[[Path, pytest.LogCaptureFixture], None]:
    """Run a test on a loop whose time jumps; at its end nothing is left on it."""

    @wraps(test)
    def run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            office = Office(tmp_path / "socket")
            await test(office)
            office.close()
            await settled()
            assert office.has_clients == 0
            assert office.mixer._listeners == []
            assert "socket" not in office.mixer.measures.clients

        jumped(main())
        assert [r.getMessage() for r in caplog.records if r.exc_info] == []

    del run.__wrapped__  # pytest would look for its parameters there
    return run


@in_an_office
async def test_answers_come_in_the_order_of_the_lines_and_when_it_is_done(office: Office) -> None:
    caller = office.call()
    await caller.say("SET_VOLUME sink1 0.3", "GET_VOLUME sink1", "FLY", '{"action":"get","target":"@sink"}')
    assert await caller.hear() == []
    office.obey()
    first, second, third, fourth = await caller.hear()
    assert (first, second, third[:6]) == ("OK 0.3", "OK 0.3", "ERROR ")
    assert json.loads(fourth) == {"ok": True, "volume": 0.3, "muted": False}


@in_an_office
async def test_several_are_as_loud_as_the_loudest_muted_if_all_are_and_answered_as_the_last(
    office: Office,
) -> None:
    devices = sink(1, 0.7), sink(3, 0.3, muted=True)
    office.mixer.on_event(replace(snapshot(), devices=devices))
    caller = office.call()
    await caller.say("GET_VOLUME sink:*", "GET_MUTE sink:*")
    assert await caller.hear() == ["OK 0.7", "OK false"]
    await caller.say("VOLUME_DOWN sink:* 0.1")
    while office.unanswered:
        office.follow()
    assert await caller.hear() == ["OK 0.2"]


@in_an_office
async def test_one_client_does_not_wait_for_another(office: Office) -> None:
    one, other = office.call(), office.call()
    await one.say("SET_VOLUME sink1 0.3")
    await other.say("GET_VOLUME sink1")
    assert await other.hear() == ["OK 0.5"]
    assert await one.hear() == []
    office.obey()
    assert await one.hear() == ["OK 0.3"]


@in_an_office
async def test_what_the_server_refuses_is_told(office: Office) -> None:
    caller = office.call()
    await caller.say("MUTE sink1 true", '{"id":1,"target":"@sink","action":"unmute"}')
    office.answer(AudioServerError("no,\nnever"))
    assert await caller.hear() == ["ERROR no, never"]
    office.answer(AudioServerError("no"))
    (line,) = await caller.hear()
    assert json.loads(line) == {"id": 1, "ok": False, "error": "no", "name": "org.pwmixer.Error.AudioServer"}


@in_an_office
async def test_who_asked_is_known_with_context_and_quiet(office: Office) -> None:
    heard = []
    office.mixer.hear(lambda _plan, origin: heard.append(origin))
    caller = office.call()
    await caller.say('{"target":"@sink","action":"mute","context":"a key","quiet":true}')
    office.obey()
    (origin,) = heard
    assert (origin.kind, origin.context, origin.quiet) == ("user", "a key", True)
    assert origin.client.startswith("socket:")


@in_an_office
async def test_garbage_is_answered_and_the_connection_lives_on(office: Office) -> None:
    caller = office.call()
    await caller.say(b"\xff\xfe\x00", b"{", b"{]", b"\x00" * 99, b"x" * (LINE_LIMIT + 1), b"GET_VOLUME @sink")
    *errors, last = await caller.hear()
    assert [line[:6] for line in errors] == ["ERROR ", '{"ok":', '{"ok":', "ERROR ", "ERROR "]
    assert errors[-1] == f"ERROR A line has at most {LINE_LIMIT} bytes."
    assert last == "OK 0.5"


@in_an_office
async def test_a_line_may_come_in_pieces_and_is_not_begun_before_its_end(office: Office) -> None:
    caller = office.call()
    for piece in "SET_VOLUME sink1 0.3":
        await caller.say(piece, end=b"")
    assert office.sent == []
    await caller.say("")
    assert [c for _, c in office.sent] == [SetVolume(key=SINK, channels=(0.3, 0.3))]
    office.obey()


@in_an_office
async def test_half_a_line_at_the_end_is_told_and_not_carried_out(office: Office) -> None:
    caller = office.call()
    await caller.say("GET_VOLUME @sink\nSET_VOLUME @sink 0.1", end=b"")
    caller.socket.shutdown(socket.SHUT_WR)
    assert await caller.hear() == [
        "OK 0.5",
        "ERROR The last line has no end, and was not carried out.",
        "(end)",
    ]
    assert office.sent == []


@in_an_office
async def test_who_has_said_all_still_gets_its_answers(office: Office) -> None:
    caller = office.call()
    await caller.say("MUTE @sink true", "GET_MUTE @sink")
    caller.socket.shutdown(socket.SHUT_WR)
    assert await caller.hear() == []
    office.obey()
    assert await caller.hear() == ["OK true", "OK true", "(end)"]


@in_an_office
async def test_who_leaves_before_the_answer_harms_nobody(office: Office) -> None:
    caller = office.call()
    await caller.say("MUTE @sink true")
    caller.socket.close()
    await settled()
    office.obey()
    await settled()
    assert office.has_clients == 0
    assert office.mixer.state.devices[SINK].muted


@in_an_office
async def test_no_more_is_begun_than_can_be_owed(office: Office) -> None:
    caller = office.call()
    await caller.say("MUTE @sink true", *(["GET_MUTE @sink"] * (2 * OWED)))
    (client,) = office.listener._clients
    assert len(client._owed) == OWED
    office.obey()
    assert await caller.hear() == ["OK true"] * (2 * OWED + 1)


@in_an_office
async def test_of_what_takes_long_one_line_is_answered_before_it_is_the_turn_of_others(
    office: Office,
) -> None:
    caller, other = office.call(), office.call()
    await settled()
    office.everything_takes_long()
    caller.socket.sendall(b"GET_VOLUME @sink\n" * 1000)
    other.socket.sendall(b"GET_VOLUME @sink\n")
    for _ in range(5):
        await asyncio.sleep(0)
    assert other.socket.recv(100) == b"OK 0.5\n"
    assert 1 <= len(caller.socket.recv(1 << 20)) // len("OK 0.5\n") <= 5
    assert len(await caller.hear()) > 0


@in_an_office
async def test_questions_that_have_waited_for_a_change_are_not_all_looked_up_in_one_turn(
    office: Office,
) -> None:
    caller = office.call()
    await caller.say("SET_VOLUME sink1 0.3", *["GET_VOLUME @sink"] * 100)
    office.everything_takes_long()
    office.obey()
    heard = b""
    while len(heard) < 101 * len("OK 0.3\n"):
        came = caller.socket.recv(1 << 20)
        assert len(came) <= 2 * len("OK 0.3\n")
        heard += came
        await asyncio.sleep(0)
    assert heard == b"OK 0.3\n" * 101


@in_an_office
async def test_from_a_client_that_does_not_read_nothing_more_is_read_and_then_it_is_dropped(
    office: Office,
) -> None:
    caller = office.call()
    sent = 0
    try:
        while True:
            sent += caller.socket.send(b'{"command":"LIST sinks"}\n' * 100)
            await settled()
    except BlockingIOError:
        pass
    (client,) = office.listener._clients
    assert len(client._link.unsent) < 200_000
    assert len(client._lines._buffer) <= 2 * LINE_LIMIT
    started = office.loop.time()
    await asyncio.sleep(PATIENCE - 1)
    assert office.has_clients == 1
    await asyncio.sleep(2)
    assert office.has_clients == 0
    assert office.loop.time() - started == PATIENCE + 1


@in_an_office
async def test_a_client_that_reads_late_gets_everything(office: Office) -> None:
    caller = office.call()
    asked = 500
    await caller.say(*(['{"command":"LIST sinks"}'] * asked))
    (client,) = office.listener._clients
    assert client._link.unsent
    await asyncio.sleep(PATIENCE - 1)
    heard: list[str] = []
    while len(heard) < asked:
        more = await caller.hear()
        assert more
        heard += more
    assert len(heard) == asked
    assert office.has_clients == 1


@in_an_office
async def test_a_watcher_that_does_not_read_is_dropped_and_costs_the_others_nothing(office: Office) -> None:
    deaf, awake = office.call(), office.call()
    await deaf.say('{"action":"subscribe"}')
    await awake.say("WATCH")
    heard = await awake.hear()
    turns, size = 0, 20_000
    while office.has_clients == 2:
        turns += 1
        office.show(description=str(turns) + "x" * size)
        await asyncio.sleep(1 / RATE)
        heard += await awake.hear()
    assert UNREAD < turns * size < 2 * UNREAD
    assert len([line for line in heard if " description " in line]) == turns


@in_an_office
async def test_the_only_watcher_that_does_not_read_is_dropped_in_the_middle_of_a_burst(
    office: Office,
) -> None:
    caller = office.call()
    await caller.say("WATCH")
    for turn in range(3):
        office.mixer.on_event(snapshot_of_sinks(f"{turn}" + "x" * UNREAD))
        await asyncio.sleep(1 / RATE)
    assert office.has_clients == 0


@in_an_office
async def test_who_watches_is_told_the_first_at_once_and_the_last_always(office: Office) -> None:
    caller = office.call()
    await caller.say("WATCH")
    assert await caller.hear() == ["OK"]
    for volume in (0.1, 0.2, 0.3):
        office.show(volume=volume)
    assert await caller.hear() == ["CHANGED sink:sink1 volume 0.1"]
    await asyncio.sleep(0.1)
    assert await caller.hear() == ["CHANGED sink:sink1 volume 0.3"]


@in_an_office
async def test_nobody_watches_any_more_and_nothing_listens(office: Office) -> None:
    caller = office.call()
    await caller.say("WATCH")
    assert len(office.mixer._listeners) == 1
    caller.socket.close()
    await settled()
    assert office.mixer._listeners == []
    assert office.has_clients == 0


@in_an_office
async def test_a_watcher_may_have_said_all(office: Office) -> None:
    caller = office.call()
    await caller.say("WATCH")
    caller.socket.shutdown(socket.SHUT_WR)
    office.show(volume=0.1)
    assert await caller.hear() == ["OK", "CHANGED sink:sink1 volume 0.1"]
    caller.socket.close()
    office.show(volume=0.2)
    await asyncio.sleep(0.1)
    assert office.has_clients == 0


@in_an_office
async def test_there_is_a_most_of_clients_and_who_has_gone_makes_room(office: Office) -> None:
    watcher = office.call()
    await watcher.say("WATCH")
    watcher.socket.shutdown(socket.SHUT_WR)
    for _ in range(CLIENTS - 1):
        office.call()
    await settled()
    assert await office.call().hear() == [
        f"ERROR There are {CLIENTS} clients already; close one of them.",
        "(end)",
    ]
    assert office.mixer.measures.clients["socket"]() == CLIENTS
    watcher.socket.close()  # which nobody notices, since it was silent before
    await settled()
    late = office.call()
    await late.say("GET_VOLUME @sink")
    assert await late.hear() == ["OK 0.5"]


@in_an_office
async def test_strangers_are_not_let_in(office: Office) -> None:
    for uid, clients in ((4711, 0), (0, 1), (1000, 2)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: 1000)
            patch.setattr(listener_module, "peer_of", lambda _, uid=uid: (1, uid))
            caller = office.call()
            await settled()
        assert office.has_clients == clients
        assert await caller.hear() == ([] if clients else ["(end)"])


@in_an_office
async def test_where_nobody_can_be_let_in_it_is_told_once_and_tried_again_later(office: Office) -> None:
    caller, told = office.call(), list[tuple[str, ...]]()
    first_free = os.dup(0)
    os.close(first_free)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listener_module.log, "error", lambda *words: told.append(words))
        for tries in (1, 2):
            resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, limits[1]))
            try:
                await caller.say("GET_VOLUME @sink")
                await asyncio.sleep(9.5 * REST)
                assert await caller.hear() == []
                assert office.has_clients == tries - 1
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            await asyncio.sleep(REST)
            assert await caller.hear() == ["OK 0.5"]
            assert len(told) == tries
            caller = office.call()


@in_an_office
async def test_at_the_end_all_that_has_been_asked_is_answered(office: Office) -> None:
    busy, late, watching = office.call(), office.call(), office.call()
    await busy.say("MUTE @sink true", "GET_MUTE @sink")
    await watching.say("WATCH")
    assert await watching.hear() == ["OK"]
    newcomer = office.call()
    newcomer.socket.sendall(b"GET_VOLUME @sink\n")
    late.socket.sendall(b"GET_VOLUME @sink\nRELOAD_CONFIG\n")
    office.listener.close()
    assert not office.path.exists()
    assert await late.hear() == ["OK 0.5", "OK", "(end)"]
    assert await newcomer.hear() == ["OK 0.5", "(end)"]
    assert await watching.hear() == ["(end)"]
    assert await busy.hear() == []
    office.obey()
    assert await busy.hear() == ["OK true", "OK true", "(end)"]
    assert office.reloads == 1


@in_an_office
async def test_at_the_end_no_line_is_left_unread_and_none_is_cut(office: Office) -> None:
    caller = office.call()
    lines = [f"GET_VOLUME @sink{' ' * 500}" for _ in range(200)]
    caller.socket.sendall("".join(f"{line}\n" for line in lines).encode())
    office.listener.close()
    assert await caller.hear() == [*["OK 0.5"] * len(lines), "(end)"]


@in_an_office
async def test_at_the_end_each_of_many_lines_is_answered_also_where_the_server_is_not_heard_of(
    office: Office,
) -> None:
    caller = office.call()
    lines = [f"SET_VOLUME @sink {i / 1000}\n" for i in range(3 * OWED)]
    caller.socket.sendall("".join(lines).encode())
    office.listener.close()
    await office.mixer.drain(0.5)
    answers = caller.socket.recv(1 << 20).decode().splitlines()  # at once, since the loop has no other turn
    assert len(answers) == len(lines)
    assert all("The service is ending" in answer for answer in answers)


@in_an_office
async def test_what_is_begun_after_all_has_been_handed_over_is_refused_and_not_lost(office: Office) -> None:
    caller = office.call()
    office.mixer.on_event(Gone(kind=STREAM[0], index=STREAM[1]))
    await caller.say("MUTE @sink true", *["GET_MUTE @sink"] * OWED, "SET_VOLUME app:music 0.2")
    office.listener.close()
    office.mixer.sleep()
    office.obey()
    answers = await caller.hear()
    assert answers[:-2] == ["OK true"] * (OWED + 1)
    assert answers[-2].startswith("ERROR Another instance has taken over")
    assert office.mixer.state.apps[MUSIC].volume is None


@in_an_office
async def test_a_mistake_of_ours_is_told_without_a_word_of_it(office: Office) -> None:
    caller = office.call()

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.mixer, "submit", fail)
        patch.setattr(client_module.log, "exception", lambda *_: None)
        await caller.say("MUTE @sink true", '{"id":1,"target":"@sink","action":"mute"}')
    one, other = await caller.hear()
    assert one == "ERROR Something went wrong inside; the journal says what."
    assert json.loads(other)["name"] == "org.freedesktop.DBus.Error.Failed"
    await caller.say("MUTE @sink true")
    assert [c for _, c in office.sent] == [SetMuted(key=SINK, muted=True)]
    office.obey()
