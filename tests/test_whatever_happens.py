"""Whatever people, programs and the sound server do: in the end a lock and a cap have won, and nothing is kept of the gone."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jumping import jumped
from test_fader import Stage, timers
from test_mixer import MUSIC, SINK, STREAM, stream

from pwmixer_dbus.core import gain, verbs
from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.errors import AudioServerError
from pwmixer_dbus.core.events import Disconnected, Gone, Seen, Snapshot
from pwmixer_dbus.core.memory import CORRECTIONS_IN, recall, recall_device
from pwmixer_dbus.core.model import App, Device, Key, Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.selectors import Target

Act = Callable[[Stage], None]
_KEYS: st.SearchStrategy[Key] = st.sampled_from([SINK, STREAM, (Kind.PLAYBACK, 11)])
_NAMES: st.SearchStrategy[Key | None] = _KEYS | st.none()
_VOLUMES = st.sampled_from([0.0, 0.1, 0.4, 0.7, 1.2])


def _target(stage: Stage, name: Key | None) -> Target | None:
    return stage.mixer.state.apps.get(MUSIC) if name is None else stage.shown(name)


def _ask(name: Key | None, volume: float, client: str) -> Act:
    def do(stage: Stage) -> None:
        target = _target(stage, name)
        if target is not None:
            plan = verbs.set_volume(stage.mixer.state, stage.mixer.pending, target, volume)
            stage.mixer.submit(plan, Origin(kind="user", client=client), stage.answers.append)

    return do


def _set(key: Key, volume: float, muted: bool) -> Act:
    def do(stage: Stage) -> None:
        record = stage.shown(key)
        if record is not None:
            channels = gain.with_level(record.channels, volume)
            stage.mixer.on_event(Seen(record=replace(record, channels=channels, muted=muted)))

    return do


def _fade(name: Key | None, volume: float, seconds: float) -> Act:
    def do(stage: Stage) -> None:
        target = _target(stage, name)
        if target is not None and stage.mixer.state.connected:
            stage.fade_target(target, volume, seconds)

    return do


def _keep(name: Key | None, what: Callable[[Stage, App | Device], None]) -> Act:
    def do(stage: Stage) -> None:
        target = _target(stage, name)
        if isinstance(target, App | Device):
            what(stage, target)

    return do


def _lock(name: Key | None, locked: bool) -> Act:
    return _keep(name, lambda stage, target: stage.keeper.set_lock(target, locked=locked))


def _cap(name: Key | None, cap: float | None) -> Act:
    return _keep(name, lambda stage, target: stage.keeper.set_cap(target, max_volume=cap))


def _come(index: int, volume: float, device: int | None) -> Act:
    fields: dict[str, Any] = {
        "properties": {"application.process.binary": "music", "node.autoconnect": "true"}
    }
    return lambda stage: stage.mixer.on_event(Seen(record=stream(index, volume, device=device, **fields)))


def _come_back(shift: int, cookie: int) -> Act:
    """Lose the sound server; afterwards devices have other indexes, and with another cookie nothing plays."""

    def do(stage: Stage) -> None:
        server = replace(stage.mixer.state.server, cookie=cookie)
        devices = tuple(
            replace(each, index=each.index + shift) for each in stage.mixer.state.devices.values()
        )
        stage.mixer.on_event(Disconnected(reason="It is restarted."))
        stage.mixer.on_event(Snapshot(server=server, devices=devices, streams=()))

    return do


def _refuse(stage: Stage) -> None:
    while stage.unanswered:
        stage.answer(AudioServerError("No."))


def _obey(obedient: bool) -> Act:
    def do(stage: Stage) -> None:
        stage.obedient = obedient
        _refuse(stage)

    return do


_ACTS: st.SearchStrategy[Act | float] = st.one_of(
    st.sampled_from([0.002, 0.1, 0.5, 4.0, CORRECTIONS_IN]),
    st.builds(_ask, _NAMES, _VOLUMES, st.sampled_from(["slider", "key"])),
    st.builds(_set, _KEYS, _VOLUMES, st.booleans()),
    st.builds(_fade, _NAMES, _VOLUMES, st.sampled_from([0.2, 5.0])),
    st.builds(_lock, _NAMES, st.booleans()),
    st.builds(_cap, _NAMES, st.sampled_from([None, 0.3])),
    st.builds(_come, st.sampled_from([10, 11]), _VOLUMES, st.sampled_from([1, 3, None])),
    st.builds(_come_back, st.sampled_from([0, 2]), st.sampled_from([1, 2])),
    st.just(lambda stage: stage.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=10))),
    st.just(lambda stage: stage.mixer.undo(1, Origin(kind="undo"), lambda *_: None)),
    st.builds(_obey, st.booleans()),
)


async def _be_held(stage: Stage) -> None:
    """Let another program set everything otherwise, and look what has become of that."""
    keys = (*stage.mixer.state.streams, *stage.mixer.state.devices)
    for key in keys:
        record = stage.shown(key)
        _set(key, 0.7, muted=record is not None and not record.muted)(stage)
    await asyncio.sleep(2 * CORRECTIONS_IN)
    for key in keys:
        record = stage.shown(key)
        assert record is not None
        _check(stage, record)


def _check(stage: Stage, record: Stream | Device) -> None:
    state, memory = stage.mixer.state, stage.keeper.memory
    if isinstance(record, Device):
        wanted = recall_device(memory, record)
    else:
        wanted = recall(memory, MUSIC, record.kind, state.device_of(record))
    level, cap = gain.level(record.channels), wanted.max_volume
    assert cap is None or level <= cap
    if wanted.locked and wanted.volume is not None:
        assert level == min(wanted.volume, verbs.max_volume(state, record))
    assert not wanted.locked or wanted.muted in {None, record.muted}


def _keys(held: object) -> Iterable[Key]:
    """Find the keys of objects in a mapping or a set, also as part of a slot."""
    for name in held if isinstance(held, dict | set) else ():
        key = name[1] if isinstance(name[0], type) else name
        if isinstance(key[1], int):
            yield key


@settings(max_examples=150)
@given(st.lists(_ACTS, max_size=25))
def test_in_the_end_a_lock_and_a_cap_have_won_and_nothing_is_kept_of_what_has_gone(
    acts: list[Act | float],
) -> None:
    async def main() -> None:
        stage = Stage()
        await stage.quiet()
        for act in acts:
            await asyncio.sleep(act) if isinstance(act, float) else act(stage)
        _obey(obedient=True)(stage)
        await asyncio.sleep(2 * CORRECTIONS_IN)
        await _be_held(stage)
        _ask(None, 0.4, "slider")(stage)
        _ask(SINK, 0.4, "slider")(stage)
        await asyncio.sleep(0.1)
        await _be_held(stage)
        assert [timer for timer in timers(stage) if not timer.cancelled()] == []
        stage.keeper.learn()
        state = stage.mixer.state
        known = state.streams.keys() | state.devices.keys()
        for part in (stage.keeper, stage.fader, stage.mixer._lanes):
            assert {key for held in vars(part).values() for key in _keys(held)} <= known

    jumped(main())
