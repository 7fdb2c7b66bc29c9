"""The sound server as the core sees it: events come out, commands go in, and it comes back by itself.

The rules: a notice carries no data, so the object is fetched by its index, with one request in flight per object and
at most one per `REST` seconds while it keeps changing; the first notice is followed at once. Values come from what is
fetched, never from an acknowledgement. Without notices nothing runs.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from ctypes import c_char_p, c_int, c_uint32
from functools import partial
from typing import Any, assert_never

from pulsectl.pulsectl import PulseError

from pwmixer_dbus.core.commands import (
    Command,
    MoveStream,
    SetDefault,
    SetMuted,
    SetPort,
    SetProfile,
    SetVolume,
)
from pwmixer_dbus.core.errors import AudioServerError, MixerError, NotConnectedError, NotFoundError
from pwmixer_dbus.core.events import Disconnected, Event, Gone, Levelled, Seen, Snapshot
from pwmixer_dbus.core.measures import Measures, place_of
from pwmixer_dbus.core.model import Card, Client, Device, Key, Kind, Process, Properties, Server, Stream
from pwmixer_dbus.core.tally import CONNECTED, DISCONNECTED, FETCHED, FETCHING, FORGOTTEN, About
from pwmixer_dbus.pulse import convert, libpulse
from pwmixer_dbus.pulse.libpulse import request
from pwmixer_dbus.pulse.process import read_process, trusted_pid

log = logging.getLogger(__name__)

REST = 0.005
FIRST_RETRY, LAST_RETRY = 0.1, 5.0
CONNECT_TIMEOUT = 5.0
RELINKS = (0.02, 0.08, 0.3, 0.8)
"""Pauses after which all streams are listed again: they are moved after its cause is told, and paused ones in silence.

As long as some are seen to have been, that goes on after the last pause each: of hundreds on a busy machine, the session
manager moves twenty a second.
"""

LOOKS = 4
"""Most objects that are fetched at a time only because they have changed: what people ask for, and what is new, does not
wait behind hundreds of others, neither at the server nor here.
"""

CLAIMED = 1.2
"""Seconds after a move at which its stream is looked at again: for one second PipeWire says that it is where it was asked
to go, whatever the session manager does, and it tells nobody when that second is over.
"""

LATE_MOVES = (2.0, 4.0, 8.0, 16.0)
"""Pauses after that one after which a stream is looked at once more that is not where it was asked to go: a session manager that
is behind moves it then, and a paused one in silence. Likewise for a default that it has not chosen by then.
"""

_FACILITIES = {
    0: Kind.SINK,
    1: Kind.SOURCE,
    2: Kind.PLAYBACK,
    3: Kind.CAPTURE,
    5: Kind.CLIENT,
    7: Kind.SERVER,
    9: Kind.CARD,
}
_LEADING = frozenset((Kind.SINK, Kind.SOURCE, Kind.SERVER, Kind.CARD))
"""Kinds whose notices tell of others, too."""

_FACILITY_BITS, _TYPE_BITS = 0x0F, 0x30
_NEW, _REMOVE = 0x00, 0x20

_index, _flag, _text = c_uint32, c_int, c_char_p
FETCH = {
    Kind.SINK: request("get_sink_info_by_index", _index),
    Kind.SOURCE: request("get_source_info_by_index", _index),
    Kind.PLAYBACK: request("get_sink_input_info", _index),
    Kind.CAPTURE: request("get_source_output_info", _index),
    Kind.CLIENT: request("get_client_info", _index),
    Kind.CARD: request("get_card_info_by_index", _index),
}
LIST = {
    # First, since what is known of their processes need not be read of their streams.
    Kind.CLIENT: request("get_client_info_list"),
    Kind.SINK: request("get_sink_info_list"),
    Kind.SOURCE: request("get_source_info_list"),
    Kind.PLAYBACK: request("get_sink_input_info_list"),
    Kind.CAPTURE: request("get_source_output_info_list"),
    Kind.CARD: request("get_card_info_list"),
}
SET_VOLUME = {
    Kind.SINK: request("set_sink_volume_by_index", _index, _text),
    Kind.SOURCE: request("set_source_volume_by_index", _index, _text),
    Kind.PLAYBACK: request("set_sink_input_volume", _index, _text),
    Kind.CAPTURE: request("set_source_output_volume", _index, _text),
}
SET_MUTE = {
    Kind.SINK: request("set_sink_mute_by_index", _index, _flag),
    Kind.SOURCE: request("set_source_mute_by_index", _index, _flag),
    Kind.PLAYBACK: request("set_sink_input_mute", _index, _flag),
    Kind.CAPTURE: request("set_source_output_mute", _index, _flag),
}
MOVE = {
    Kind.PLAYBACK: request("move_sink_input_by_index", _index, _index),
    Kind.CAPTURE: request("move_source_output_by_index", _index, _index),
}
SET_DEFAULT = {
    Kind.SINK: request("set_default_sink", _text),
    Kind.SOURCE: request("set_default_source", _text),
}
SET_PORT = {
    Kind.SINK: request("set_sink_port_by_index", _index, _text),
    Kind.SOURCE: request("set_source_port_by_index", _index, _text),
}
_set_card_profile = request("set_card_profile_by_index", _index, _text)

ALL = -1
"""In place of an index: the listing of all objects of a kind, which is fetched under the same rules."""

SERVER_KEY: Key = (Kind.SERVER, 0)

Record = Device | Stream | Client | Card | Server
Shown = Record | convert.Look
Done = Callable[[MixerError | None], None]


class SoundServer:
    """A connection that is kept. `emit` gets every event, on the loop's thread; `machine_id` tells local processes.

    `lacks_default` says whether a default is still to be chosen. What is measured goes to `measures`.

    `has_looked` is set when it is known what there is: at the first listing, or the first attempt that failed.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        lacks_default: Callable[[], bool] = lambda: False,
        machine_id: str = "",
        measures: Measures | None = None,
    ) -> None:
        self._emit = emit
        self._lacks_default = lacks_default
        self._machine_id = machine_id
        self._loop = asyncio.get_running_loop()
        self._connection: libpulse.Connection | None = None
        self._lost = asyncio.Event()
        self.has_looked = asyncio.Event()
        self._measures = measures or Measures(self._loop.time)
        self._queue = self._measures.queue("fetches", self._looks)
        self._properties = convert.PropertyCache(self._measures.counts)
        self._processes: dict[Key, Process | None] = {}
        cache = self._properties
        self._ways: dict[Kind, tuple[libpulse.Read, libpulse.Seen]] = {
            Kind.SINK: (partial(convert.sink, cache=cache), self._seen),
            Kind.SOURCE: (partial(convert.source, cache=cache), self._seen),
            Kind.PLAYBACK: (partial(convert.sink_input, cache=cache), self._looked),
            Kind.CAPTURE: (partial(convert.source_output, cache=cache), self._looked),
            Kind.CLIENT: (partial(convert.client, cache=cache, process_of=self._process_behind), self._seen),
            Kind.CARD: (partial(convert.card, cache=cache), self._seen),
            Kind.SERVER: (convert.server, self._seen),
        }
        # Of each stream all but how loud it is, as it was emitted last: the core knows the same.
        self._shown: dict[Key, tuple[Any, ...]] = {}
        self._gathered: list[Record] | None = None
        self._held_notices: list[tuple[int, int]] = []
        self._in_flight: set[Key] = set()
        self._again: set[Key] = set()
        self._waiting: dict[Key, None] = {}
        self._resting: dict[Key, asyncio.TimerHandle] = {}
        self._fetched_at: dict[Key, float] = {}
        self._settling: dict[Key, list[Callable[[], None]]] = {}
        self._relinks: asyncio.TimerHandle | None = None
        self._has_relinked = False
        self._claimed: dict[Key, asyncio.TimerHandle] = {}
        self._unlinked: dict[Key, asyncio.TimerHandle | None] = {}
        self._is_listed = False
        self._renewal: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Connect, follow and reconnect until cancelled: first at once, then after 0.1 s, doubling to 5 s."""
        retry = 0.0
        try:
            while True:
                if await self._connect():
                    await self._lost.wait()
                    if self._is_listed:  # else it lets us in and tells us nothing, which it may go on doing
                        retry = 0.0
                    self._drop("the sound server went away")
                self.has_looked.set()
                retry = min(max(2 * retry, FIRST_RETRY), LAST_RETRY)
                import random  # noqa: PLC0415 - nobody waits for it any more

                # Without jitter all clients of a restarted server would come back in the same instant.
                await asyncio.sleep(retry * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        finally:
            self._drop("stopped")

    async def _connect(self) -> bool:
        self._lost.clear()
        connection = await self._opened()
        if connection is None:
            return False
        self._connection = connection
        self._take_snapshot(connection)
        return True

    async def _opened(self) -> libpulse.Connection | None:
        try:
            connection = libpulse.Connection("pwmixer", self._on_notice, self._lost.set)
            try:
                await connection.connect(timeout=CONNECT_TIMEOUT)
            except BaseException:
                connection.close()
                raise
        except (PulseError, TimeoutError, OSError) as error:
            log.debug("no sound server: %s", error)
            return None
        self._measures.note(CONNECTED)
        return connection

    def renew(self) -> None:
        """Look at everything through a new connection, and use that one from then on; nobody notices but by what is new.

        A client that leaves while PipeWire binds the session's metadata for it leaves all others without news of the
        metadata (module-metadata keeps waiting for its pong; 1.4.2 and 0.3.65): a change of the defaults is told to
        nobody any more, and shown only to who connects afterwards.
        """
        old, is_listing = self._connection, self._gathered is not None
        if old is not None and self._is_listed and not is_listing and self._renewal is None:
            self._renewal = self._loop.create_task(self._replace(old))

    async def _replace(self, old: libpulse.Connection) -> None:
        try:
            connection = await self._opened()
            if connection is None:
                return
            self._connection = connection
            await old.retire()  # first, since what it has still to say is older than the listing
            self._take_snapshot(connection)
        finally:
            self._renewal = None

    def _drop(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._renewal is not None:
            self._renewal.cancel()
        timers = (*self._resting.values(), *self._claimed.values(), *self._unlinked.values(), self._relinks)
        for timer in timers:
            if timer is not None:
                timer.cancel()
        self._gathered = self._relinks = None
        self._is_listed = False
        for held in (
            self._held_notices,
            self._in_flight,
            self._again,
            self._waiting,
            self._resting,
            self._claimed,
            self._unlinked,
            self._fetched_at,
            self._processes,
        ):
            held.clear()
        self._properties.clear()
        self._measures.note(DISCONNECTED)
        connection.close()
        self._emit(Disconnected(reason=reason))
        settling, self._settling = self._settling, {}
        for waiters in settling.values():
            for waiter in waiters:
                waiter()

    def _take_snapshot(self, connection: libpulse.Connection) -> None:
        """Subscribe first, then list: what changes meanwhile is held back and followed afterwards."""
        gathered: list[Record] = []
        self._gathered = gathered

        def gather(shown: Shown) -> None:
            gathered.append(self._stream_of(shown) if isinstance(shown, tuple) else shown)

        connection.command(
            libpulse.subscribe, libpulse.EVERYTHING, done=partial(self._listed, "subscription")
        )
        connection.fetch_single(
            libpulse.get_server,
            read=convert.server,
            seen=gather,
            done=partial(self._listed, "server"),
        )
        for kind, list_all in LIST.items():
            is_last = kind is Kind.CARD
            done = self._snapshot_complete if is_last else partial(self._listed, kind)
            connection.fetch(list_all, read=self._ways[kind][0], seen=gather, done=done)

    def _listed(self, what: str, error: MixerError | None) -> None:
        if error is not None:
            log.warning("could not list every %s: %s", what, error)

    def _snapshot_complete(self, error: MixerError | None) -> None:
        gathered, self._gathered = self._gathered or [], None
        servers = [r for r in gathered if isinstance(r, Server)]
        if error is not None or not servers:
            log.warning(
                "the sound server did not answer the first listing: %s", error or "no server information"
            )
            self._lost.set()
            return
        is_renewal = self._is_listed
        self._is_listed = True  # already, since what is found may lead to commands
        self._shown.clear()
        self._emit(
            Snapshot(
                server=servers[0],
                devices=tuple(r for r in gathered if isinstance(r, Device)),
                streams=tuple(r for r in gathered if isinstance(r, Stream)),
                clients=tuple(r for r in gathered if isinstance(r, Client)),
                cards=tuple(r for r in gathered if isinstance(r, Card)),
            )
        )
        self.has_looked.set()
        if is_renewal or self._lacks_default():  # of what has led to it, not all may have come about yet
            self._plan_relinks(RELINKS[-1:])
        held, self._held_notices = self._held_notices, []
        for event, index in held:
            self._on_notice(event, index)
        for record in gathered:
            if isinstance(record, Device | Stream):
                self._look_once(record)

    def _on_notice(self, event: int, index: int) -> None:
        kind = _FACILITIES.get(event & _FACILITY_BITS)
        if kind is None:
            return
        if self._gathered is not None:
            self._held_notices.append((event, index))
            return
        what = event & _TYPE_BITS
        key = SERVER_KEY if kind is Kind.SERVER else (kind, index)
        self._measures.noticed(key)
        if what == _REMOVE:
            self._forget(key)
            self._emit(Gone(kind=kind, index=index))
            self._measures.note(FORGOTTEN, key)
        elif kind is Kind.SERVER:
            self._touch(key)
        else:
            if key in self._unlinked:  # what is fetched now says whether there is anything to look for
                self._stop_looking(key)
            self._touch(key, is_new=what == _NEW)
        if kind in _LEADING:
            self._touch_dependents(kind, what)

    def _touch_dependents(self, kind: Kind, what: int) -> None:
        """Follow what the server changes without a notice: links after a change of devices, ports after a profile's."""
        if kind is Kind.SERVER or (kind.is_device and what in {_NEW, _REMOVE}):
            self._follow_links(RELINKS)
        elif kind is Kind.CARD and what != _REMOVE:
            self._touch((Kind.SINK, ALL))
            self._touch((Kind.SOURCE, ALL))

    def _follow_links(self, pauses: tuple[float, ...]) -> None:
        """List all streams, and look at the defaults, now and after each pause; a new cause starts anew."""
        self._has_relinked = False
        self._plan_relinks(pauses)
        self._touch((Kind.PLAYBACK, ALL))
        self._touch((Kind.CAPTURE, ALL))
        # PipeWire 0.3.65 may tell of a new default before it shows it, and then says no more.
        self._touch(SERVER_KEY)

    def look_again(self) -> None:
        """List all streams now and for a while: something may have moved them of which another instance knows the cause."""
        if self._is_listed:
            self._follow_links(RELINKS)

    def _plan_relinks(self, pauses: tuple[float, ...]) -> None:
        if self._relinks is not None:
            self._relinks.cancel()
        if pauses:
            self._relinks = self._loop.call_later(pauses[0], self._follow_links, pauses[1:])
        else:
            self._relinks = self._loop.call_later(RELINKS[-1], self._follow_late_links)

    def _follow_late_links(self) -> None:
        self._relinks = None
        if self._has_relinked:
            self._follow_links(())
        else:
            self._follow_default(LATE_MOVES)

    def _follow_default(self, pauses: tuple[float, ...]) -> None:
        """Look, now and after each pause, for a default that is chosen late: PipeWire may tell nobody of it."""
        self._relinks = None
        if self._lacks_default():
            self._touch(SERVER_KEY)
            if pauses:
                self._relinks = self._loop.call_later(pauses[0], self._follow_default, pauses[1:])

    def _forget(self, key: Key) -> None:
        self._properties.forget(*key)
        self._shown.pop(key, None)
        self._processes.pop(key, None)
        self._fetched_at.pop(key, None)
        self._again.discard(key)
        self._stop_looking(key)
        self._waiting.pop(key, None)
        claim = self._claimed.pop(key, None)
        if claim is not None:
            claim.cancel()
        timer = self._resting.pop(key, None)
        if timer is not None:
            timer.cancel()
            self._settled(key)

    def _touch(self, key: Key, *, is_new: bool = False) -> None:
        """Note that an object may have changed, and fetch it now or as soon as its rest is over and it is its turn."""
        if key in self._again or key in self._resting or key in self._waiting:
            self._measures.counts.coalesced += 1
        elif key in self._in_flight:
            self._again.add(key)
        elif is_new:
            self._fetch(key)
        else:
            rest = self._fetched_at.get(key, 0.0) + REST - self._loop.time()
            if rest <= 0:
                self._fetch_in_turn(key)
            else:
                self._resting[key] = self._loop.call_later(rest, self._rested, key)

    def _rested(self, key: Key) -> None:
        self._resting.pop(key, None)
        self._fetch_in_turn(key)

    def _fetch_in_turn(self, key: Key) -> None:
        if len(self._in_flight) < LOOKS:
            self._fetch(key)
        else:
            self._waiting[key] = None
            self._queue.grew(self._looks())

    def _looks(self) -> int:
        return len(self._in_flight) + len(self._waiting) + len(self._resting)

    def _fetch(self, key: Key) -> None:
        connection = self._connection
        if connection is None:
            return
        self._in_flight.add(key)
        kind, index = key
        asked_at = self._measures.note(FETCHING, key)
        done = partial(self._fetched, key, asked_at)
        read, seen = self._ways[kind]
        if kind is Kind.SERVER:
            connection.fetch_single(libpulse.get_server, read=read, seen=seen, done=done)
        elif index == ALL:
            seen = self._seen_listed if kind.is_device else seen
            connection.fetch(LIST[kind], read=read, seen=seen, done=done)
        else:
            connection.fetch(FETCH[kind], index, read=read, seen=seen, done=done)
        self._queue.grew(self._looks())  # afterwards, since that waits for it

    def _seen(self, record: Record) -> None:
        self._see(place_of(record), Seen(record=record))

    def _seen_listed(self, record: Device) -> None:
        self._seen(record)
        self._look_once(record)

    def _look_once(self, record: Device | Stream) -> None:
        """Look at what a listing has shown sooner than its notice, of which PipeWire tells nobody if its end comes before."""
        key = record.kind, record.index
        has_come = self._connection is not None and key[1] > self._connection.client
        if has_come and key not in self._fetched_at and key not in self._in_flight:
            self._touch(key)

    def _looked(self, look: convert.Look) -> None:
        """See a stream: of one that has shown all else before, only how loud it is.

        One that the server has named while it is not linked yet may be linked without another word.
        """
        level, rest = look
        key = level.key
        if self._shown.get(key) == rest:
            self._see(key, level)
            return
        before, is_first = self._shown.pop(key, rest), key not in self._processes
        self._has_relinked = self._has_relinked or before[-1] != rest[-1]
        self._see(key, Seen(record=self._stream_of(look)))
        if is_first and key not in self._in_flight:
            # A listing has shown it sooner than its notice, of which PipeWire tells nobody if its end comes before.
            self._touch(key)
        if rest[-1] != libpulse.INVALID:
            self._shown[key] = rest
        elif key in self._in_flight and key not in self._unlinked:
            self._plan_look(key, RELINKS)

    def _stream_of(self, look: convert.Look) -> Stream:
        return convert.stream(look, self._process_behind)

    def _see(self, about: About, event: Seen | Levelled) -> None:
        began_at = self._measures.clock()
        self._emit(event)
        self._measures.spent(about, began_at)

    def _plan_look(self, key: Key, pauses: tuple[float, ...]) -> None:
        """Fetch one stream after each pause. Only this one, since a new stream would have to wait for a listing of all."""
        timer = self._loop.call_later(pauses[0], self._look, key, pauses[1:]) if pauses else None
        self._unlinked[key] = timer

    def _look(self, key: Key, pauses: tuple[float, ...]) -> None:
        self._plan_look(key, pauses)
        self._touch(key)

    def _stop_looking(self, key: Key) -> None:
        timer = self._unlinked.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _fetched(self, key: Key, asked_at: float, error: MixerError | None) -> None:
        self._in_flight.discard(key)
        now = self._measures.note(FETCHED, key, asked_at)
        # Where nobody can be asked any more, all that waits would be asked for in vain, one from within the other.
        if self._waiting and len(self._in_flight) < LOOKS and not isinstance(error, NotConnectedError):
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._fetch(following)
        if error is None:
            self._fetched_at[key] = now
        else:  # what has gone need not rest, and would be kept for ever
            self._measures.counts.fetches_failed += 1
            if _is_missing(error):
                self._forget(key)
                self._emit(Gone(kind=key[0], index=key[1]))
            elif self._connection is not None:
                log.debug("could not fetch %s %s: %s", *key, error)
        if key in self._again:
            self._again.discard(key)
            if key in self._settling:
                self._fetch(key)
                return
            self._touch(key)
            return
        self._settled(key)

    def _settled(self, key: Key) -> None:
        for waiter in self._settling.pop(key, ()):
            waiter()

    def _settle(self, key: Key, waiter: Callable[[], None]) -> None:
        """Call back when what is known of an object is as new as the server's last notice about it."""
        timer = self._resting.pop(key, None)
        if timer is not None or key in self._waiting:
            if timer is not None:
                timer.cancel()
            self._waiting.pop(key, None)
            self._settling.setdefault(key, []).append(waiter)
            self._fetch(key)
        elif key in self._in_flight:
            self._settling.setdefault(key, []).append(waiter)
        else:
            waiter()

    async def catch_up(self) -> None:
        """Return when all that the server has told anybody until now has been seen; at once where there is none."""
        if self._is_listed:
            self._touch(SERVER_KEY, is_new=True)  # it answers after all of that
            await self._all_settled((SERVER_KEY,))
            await self._all_settled((*self._in_flight, *self._waiting, *self._resting))

    async def _all_settled(self, keys: Iterable[Key]) -> None:
        all_settled = []
        for key in keys:
            self._settle(key, (settled := asyncio.Event()).set)
            all_settled.append(settled)
        for settled in all_settled:
            await settled.wait()

    def _process_behind(self, key: Key, client: int | None, properties: Properties) -> Process | None:
        """Tell what process an object belongs to; /proc is read once in the life of a client, at its first sight.

        The streams of one that is there are of the process that has been read: it runs, or its client would have gone.
        """
        if key not in self._processes:
            of_client = None if client is None else self._processes.get((Kind.CLIENT, client))
            self._processes[key] = self._process_of(properties, of_client)
        return self._processes[key]

    def _process_of(self, properties: Properties, of_client: Process | None) -> Process | None:
        pid = trusted_pid(properties, self._machine_id)
        if of_client is not None and of_client.pid == pid:
            return of_client
        return None if pid is None else read_process(pid)

    def send(self, command: Command, done: Done) -> None:
        """Carry out a command. `done` is called once: with what went wrong, or with None.

        With None, everything that the server had said of the object by then has been emitted, so that a reply that is
        sent from within `done` follows the events that the command caused.
        """
        connection = self._connection
        if connection is None or not self._is_listed:
            done(
                NotConnectedError(
                    "There is no sound server at the moment; it will be followed as soon as it is back."
                )
            )
            return
        function, arguments, key = _request_of(command)
        if isinstance(command, MoveStream):
            done = partial(self._moved, key, command.device, done)
        connection.command(function, *arguments, done=partial(self._acknowledged, key, done))

    def _acknowledged(self, key: Key, done: Done, error: MixerError | None) -> None:
        if error is not None and _is_missing(error):
            self._touch(key, is_new=True)  # its end may be told to nobody
            error = NotFoundError("That object has just gone.")
        elif error is not None:
            done(error)
            return
        self._settle(key, partial(done, error))

    def _moved(self, key: Key, device: int, done: Done, error: MixerError | None) -> None:
        if error is None and key in self._processes:  # it has not gone meanwhile
            if key in self._claimed:
                self._claimed[key].cancel()
            self._claimed[key] = self._loop.call_later(CLAIMED, self._claim_ended, key, device, LATE_MOVES)
        done(error)

    def _claim_ended(self, key: Key, device: int, pauses: tuple[float, ...]) -> None:
        del self._claimed[key]
        self._touch(key)
        if pauses:
            self._claimed[key] = self._loop.call_later(pauses[0], self._look_at_late, key, device, pauses[1:])

    def _look_at_late(self, key: Key, device: int, pauses: tuple[float, ...]) -> None:
        shown = self._shown.get(key)
        if shown is not None and shown[-1] == device:
            del self._claimed[key]
        else:
            self._claim_ended(key, device, pauses)


def _is_missing(error: MixerError) -> bool:
    return isinstance(error, AudioServerError) and error.is_missing


def _request_of(command: Command) -> tuple[Any, tuple[Any, ...], Key]:
    """Return libpulse's function for a command, its arguments, and the object whose change is to be waited for."""
    kind, index = command.key
    match command:
        case SetVolume():
            return SET_VOLUME[kind], (index, convert.volume_struct(command.channels)), command.key
        case SetMuted():
            return SET_MUTE[kind], (index, int(command.muted)), command.key
        case MoveStream():
            return MOVE[kind], (index, command.device), command.key
        case SetDefault():
            return SET_DEFAULT[kind], (command.name.encode(),), SERVER_KEY
        case SetPort():
            return SET_PORT[kind], (index, command.port.encode()), command.key
        case SetProfile():
            return _set_card_profile, (index, command.profile.encode()), command.key
    assert_never(command)
