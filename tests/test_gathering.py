"""Levels on their way to those whom nobody waits for: the first at once, then together, in order, none lost, and none left at rest."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jumping import as_test, jumped
from test_fader import LATENCY, Stage
from test_keeper import Memorising
from test_mixer import MUSIC, SINK, STREAM, USER, Desk, sink, stream, timers

from pwmixer_dbus.core import gain, verbs
from pwmixer_dbus.core.commands import Origin, SetMuted
from pwmixer_dbus.core.events import AppWanted, Seen, Snapshot
from pwmixer_dbus.core.fading import STEP
from pwmixer_dbus.core.memory import AppIntent, Memory, learned
from pwmixer_dbus.core.model import Device, Kind, Server, Stream
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.gathering import TOGETHER
from pwmixer_dbus.lanes import PACE

FRAME = 1 / 60
MANY = range(100, 150)
EVERY = 0.001
"""Seconds between two levels of a storm."""


class Crowd(Desk):
    """A desk with many streams, somebody who tells over a wire, and two for whom nobody waits."""

    def __init__(self) -> None:
        super().__init__(connected=False)
        self.wire: list[tuple[int, float]] = []
        self.told: list[tuple[float, MixerState, tuple[Change, ...]]] = []
        self.order: list[str] = []
        found = Server(default_sink="sink1", cookie=1)
        self.mixer.on_event(
            Snapshot(
                server=found, devices=(sink(), sink(3)), streams=tuple(stream(i, device=1) for i in MANY)
            )
        )
        self.mixer.subscribe(lambda *_: None, before_answers=self._on_wire)
        self.mixer.subscribe(self._on_change)
        self.mixer.subscribe(lambda _before, changes, _origin: self.order.append(f"second {len(changes)}"))

    def _on_wire(self, _before: MixerState, _state: MixerState, change: Change) -> None:
        level = shown(change)
        assert level is not None
        self.wire.append(level)
        self.order.append("wire")

    def _on_change(self, before: MixerState, changes: tuple[Change, ...], origin: Origin) -> None:
        assert origin.kind == "server" or len(changes) == 1
        self.told.append((self.loop.time(), before, changes))
        self.order.append(f"first {len(changes)}")

    def level(self, index: int, volume: float) -> None:
        """Let another program set a stream."""
        self.mixer.on_event(Seen(record=stream(index, volume, device=1)))

    @property
    def heard(self) -> list[list[tuple[int, float]]]:
        """What was heard together each time."""
        return [[level for c in changes if (level := shown(c)) is not None] for _, _, changes in self.told]


def shown(change: Change) -> tuple[int, float] | None:
    """Say of what a level was told, and which."""
    record = change.after
    return (record.index, gain.level(record.channels)) if isinstance(record, Stream | Device) else None


def in_a_crowd(test: Callable[[Crowd], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in a crowd of its own; at the end, no timer is left."""

    async def main() -> None:
        crowd = Crowd()
        await test(crowd)
        await asyncio.sleep(10)
        assert timers(crowd) == []

    return as_test(test, main)


@in_a_crowd
async def test_after_a_quiet_time_a_level_is_told_to_everybody_at_once(crowd: Crowd) -> None:
    for volume in (0.1, 0.2, 0.3):
        crowd.level(100, volume)
        assert crowd.heard[-1] == [(100, volume)]
        assert crowd.order[-3:] == ["wire", "first 1", "second 1"]
        assert timers(crowd) == []
        await asyncio.sleep(TOGETHER)


@in_a_crowd
async def test_a_storm_is_told_at_once_over_a_wire_and_to_the_others_together(crowd: Crowd) -> None:
    levels = [(MANY[i % len(MANY)], (i + 1) / 1000) for i in range(200)]
    begun = crowd.loop.time()
    for nth, (index, volume) in enumerate(levels, 1):
        crowd.level(index, volume)
        assert len(crowd.wire) == nth
        await asyncio.sleep(EVERY)
    await asyncio.sleep(TOGETHER)
    assert crowd.wire == levels
    assert crowd.heard[0] == levels[:1]
    assert [level for together in crowd.heard for level in together] == levels
    assert len(crowd.told) <= 200 * EVERY / TOGETHER + 2
    for at, before, changes in crowd.told:
        # Each has waited for less than a third of a frame, and the state before is that of before the first.
        seen_at = [begun + (1000 * (s[1]) - 1) * EVERY for c in changes if (s := shown(c)) is not None]
        assert at - min(seen_at) < TOGETHER + EVERY / 10 < FRAME / 3
        assert all(isinstance(c.after, Stream) for c in changes)
        assert before.streams[Kind.PLAYBACK, changes[0].after.index] == changes[0].before  # type: ignore[union-attr]
    assert timers(crowd) == []


@in_a_crowd
async def test_all_hear_of_it_in_their_order_and_each_is_in_the_trace(crowd: Crowd) -> None:
    crowd.level(100, 0.1)
    first = crowd.mixer.measures.counted().number
    crowd.level(101, 0.2)
    crowd.level(102, 0.3)
    crowd.level(101, 0.4)
    await asyncio.sleep(TOGETHER)
    assert crowd.order[3:] == ["wire", "wire", "wire", "first 2", "second 2"]
    assert crowd.heard[-1] == [(102, 0.3), (101, 0.4)]
    changed = [each for each in crowd.mixer.measures.counted().events(first) if each.what == "changed"]
    assert [(each.index, round(each.took, 6)) for each in changed] == [(i, TOGETHER) for i in (101, 102, 101)]


_LEVELS = st.tuples(
    st.sampled_from(MANY[:4]), st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([0.0, EVERY, 0.004, 0.02])
)


@settings(max_examples=100)
@given(st.lists(_LEVELS, max_size=30))
def test_whoever_hears_of_some_together_misses_nothing_between(
    levels: list[tuple[int, float, float]],
) -> None:
    async def main() -> None:
        crowd = Crowd()
        known = dict(crowd.mixer.state.streams)
        for index, volume, pause in levels:
            crowd.level(index, volume)
            await asyncio.sleep(pause)
        await asyncio.sleep(TOGETHER)
        for _, before, changes in crowd.told:
            assert len({change.after.index for change in changes}) == len(changes)  # type: ignore[union-attr]
            for change in changes:
                assert isinstance(change.after, Stream)
                key = (change.after.kind, change.after.index)
                assert change.is_level
                assert change.before == known[key] == before.streams[key]
                known[key] = change.after
        assert known == crowd.mixer.state.streams
        assert timers(crowd) == []

    jumped(main())


@in_a_crowd
async def test_whatever_else_happens_comes_after_all_have_heard(crowd: Crowd) -> None:
    def besides() -> list[Callable[[], object]]:
        mixer, state = crowd.mixer, crowd.mixer.state
        wish = verbs.Plan(wishes=(AppWanted(app_id=MUSIC, volume=0.3),))
        return [
            lambda: mixer.on_event(Seen(record=stream(200))),
            lambda: mixer.submit(wish, USER, crowd.answers.append),
            lambda: mixer.note(verbs.Plan(), USER),
            lambda: mixer.undo(0, USER, lambda _count, _error: None),
            lambda: mixer.limit_volume(1.2),
            mixer.tell_levels,
            lambda: mixer.act([(SetMuted(key=SINK, muted=True), "a lock")], "memory"),
            mixer.subscribe(lambda *_: None),
            lambda: mixer.wake(state),
        ]

    for nth in range(len(besides())):
        await asyncio.sleep(10)
        crowd.level(100, nth / 100 + 0.01)
        crowd.told.clear()
        do = besides()[nth]
        crowd.level(101, nth / 100 + 0.02)
        assert not crowd.told
        do()
        assert crowd.heard[0] == [(101, nth / 100 + 0.02)]
        while crowd.unanswered:
            crowd.obey()
        assert timers(crowd) == []


@in_a_crowd
async def test_what_is_asked_for_is_sent_before_the_others_hear_of_what_was_before_it(crowd: Crowd) -> None:
    crowd.level(100, 0.1)
    crowd.level(101, 0.2)
    crowd.mixer.hear_first(lambda *_: crowd.order.append(f"{len(crowd.heard)} heard"))
    crowd.mixer.hear(lambda *_: crowd.order.append("request"))
    crowd.set_volume(0.8)
    assert crowd.volumes == [0.8]
    assert crowd.order[4:] == ["1 heard", "first 1", "second 1"]
    # While it is on its way, nobody waits for others.
    crowd.level(102, 0.3)
    assert crowd.heard[-1] == [(102, 0.3)]
    crowd.answer()
    crowd.show(volume=0.8)
    assert crowd.order[-4:] == ["wire", "request", "first 1", "second 1"]


@in_a_crowd
async def test_nobody_hears_after_waking_up_of_what_was_while_it_slept(crowd: Crowd) -> None:
    crowd.level(100, 0.1)
    crowd.level(101, 0.2)
    crowd.mixer.sleep()
    assert crowd.heard == [[(100, 0.1)], [(101, 0.2)]]
    crowd.level(100, 0.3)
    crowd.level(101, 0.4)
    crowd.mixer.on_event(crowd.mixer.wake(crowd.mixer.state))
    await asyncio.sleep(TOGETHER)
    assert len(crowd.told) == 2


@in_a_crowd
async def test_whoever_comes_hears_of_what_follows_and_whoever_leaves_of_all_before(crowd: Crowd) -> None:
    heard: list[float | None] = []
    crowd.level(100, 0.1)
    crowd.level(100, 0.2)
    leave = crowd.mixer.subscribe(lambda _, changes, __: heard.extend(shown(c)[1] for c in changes))  # type: ignore[index]
    crowd.level(101, 0.3)
    leave()
    crowd.level(102, 0.4)
    await asyncio.sleep(TOGETHER)
    assert heard == [0.3]


# --- those who hear late


def remembering(*, capped: float | None = None) -> Memorising:
    """Make a desk on which two streams of `music` play."""
    memory = learned(Memory(), AppIntent(app_id=MUSIC, name="Music", max_volume=capped), 0.0)
    desk = Memorising(memory)
    desk.connect(stream(10, device=1), stream(11, device=1))
    return desk


def with_music(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return as_test(test, test)


@with_music
async def test_whoever_asks_what_is_remembered_is_told_what_was_set_last() -> None:
    desk = remembering()
    await desk.quiet()
    desk.see(10, 0.3)
    desk.see(10, 0.4)
    desk.see(11, 0.6)
    desk.see(10, 0.7)
    assert desk.level().volume == 0.7
    assert desk.soon == 1


@with_music
async def test_a_cap_acts_at_once_and_in_a_storm_a_moment_later_on_what_is_shown_then() -> None:
    desk = remembering(capped=0.5)
    await desk.quiet()
    desk.see(10, 0.9)
    assert desk.volumes == [0.5]
    await desk.do()
    await desk.quiet()
    desk.see(10, 0.2)
    desk.see(11, 0.9)
    desk.see(10, 0.8)
    desk.see(10, 0.3)  # it is back within the cap before it would be corrected
    begun = desk.loop.time()
    assert desk.volumes == [0.5]
    await asyncio.sleep(TOGETHER)
    assert desk.volumes == [0.5, 0.5]
    assert desk.sent[1][1].key == (Kind.PLAYBACK, 11)
    assert desk.sent[1][0] - begun <= TOGETHER


@with_music
async def test_a_fade_gives_way_to_what_has_been_set_before_its_next_step() -> None:
    stage = Stage()
    await stage.quiet()
    stage.fade(1.0)
    await asyncio.sleep(5 * STEP + 2 * LATENCY)
    assert not stage.mixer.pending
    stage.set(STREAM, 0.11)
    steps = len(stage.levels(SINK))
    stage.set(SINK, 0.2)
    stage.fader.finish()
    await asyncio.sleep(PACE)
    assert len(stage.levels(SINK)) == steps
    assert stage.volume() == 0.2
