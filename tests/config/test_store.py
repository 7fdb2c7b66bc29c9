"""The state file: whole at any moment, never silently lost, and never in the way of the service."""

import asyncio
import contextlib
import errno
import fcntl
import json
import logging
import math
import os
import random
import resource
import select
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session import PATIENCE

from pwmixer_dbus.config import memory_text, store
from pwmixer_dbus.config.memory_text import read_memory
from pwmixer_dbus.config.store import StateFile, state_path
from pwmixer_dbus.core.memory import (
    APPS,
    AppIntent,
    DeviceIntent,
    KnownApp,
    Level,
    Memory,
    bounded,
    forgotten,
    learned,
)
from pwmixer_dbus.core.model import Kind

MUSIC = "bin:music"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pwmixer" / "state.json"


def memory_with(volume: float = 0.4, **fields: Any) -> Memory:
    intent = AppIntent(
        app_id=MUSIC, name="Music", kind=Kind.PLAYBACK, devices=("sink:speakers",), volume=volume, **fields
    )
    return learned(Memory(), intent, 1.8e9)


def save(path: Path, memory: Memory) -> StateFile:
    file = StateFile(path)
    file.load()
    write(file, memory)
    return file


def write(file: StateFile, memory: Memory) -> None:
    """Save at once."""

    async def schedule() -> None:
        file.schedule(memory)
        file.flush()

    asyncio.run(schedule())


def load(path: Path) -> Memory:
    """Read it as a service does that ends again."""
    file = StateFile(path)
    memory = file.load()
    file.flush()
    return memory


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow; the kernel then fails writes as on a full disk, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def opened(path: Path) -> StateFile:
    """Open it as another instance does, which goes on."""
    file = StateFile(path, delay=0.0)
    file.load()
    return file


async def saved_soon(file: StateFile, memory: Memory) -> None:
    """Save as while the service runs."""
    file.schedule(memory)
    await settled(file)


# --- there and back


def test_the_file_is_in_the_xdg_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_path() == tmp_path / "pwmixer" / "state.json"


def test_without_a_file_nothing_is_remembered_and_nothing_is_wrong(path: Path) -> None:
    file = StateFile(path)
    assert file.load() == Memory()
    file.flush()
    assert (file.problem, path.parent.exists()) == ("", False)


def test_what_is_saved_is_loaded(path: Path) -> None:
    memory = memory_with(
        locked=True, max_volume=0.9, preferred_sink="sink:tv", preferred_source="source:desk", muted=True
    )
    memory = learned(
        memory, DeviceIntent(key="sink:tv", name="TV", volume=0.3, max_volume=0.5, locked=True), 1.8e9
    )
    save(path, memory)
    assert load(path) == memory


def test_the_file_is_the_users_own_and_nothing_else_is_left(path: Path) -> None:
    save(path, memory_with())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert names(path) == ["state.json"]


def test_a_person_can_read_the_file(path: Path) -> None:
    save(path, memory_with())
    assert path.read_text() == (
        '{"version": 1,\n"apps": {\n"bin:music": {"name": "Music", "icon_name": "", "used": 1799971200, '
        '"levels": {"playback": {"volume": 0.4}, "sink:speakers": {"volume": 0.4}}}},\n"devices": {}}\n'
    )


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere.json")
    save(path, memory_with())
    assert path.is_symlink()
    assert load(tmp_path / "elsewhere.json") == memory_with()


def test_what_did_not_change_is_not_put_into_words_again(path: Path) -> None:
    lines: dict[str, tuple[KnownApp, str]] = {}
    first = memory_with(0.1)
    memory_text.text_of(first, lines)
    second = learned(first, AppIntent(app_id="bin:other", muted=True), 1.8e9)
    put(path, memory_text.text_of(second, lines))
    assert lines[MUSIC][0] is first.apps[MUSIC]
    assert load(path) == second
    put(path, memory_text.text_of(forgotten(second, MUSIC), lines))
    assert list(lines) == list(load(path).apps) == ["bin:other"]


text = st.text(max_size=8)
volumes = st.floats(0.0, 1.5)
keys = st.sampled_from(["sink:a", "source:ü", 'sink:"\\\u2028'])
intents = st.builds(
    AppIntent,
    app_id=text.map(lambda t: f"bin:{t}"),
    name=text,
    icon_name=text,
    kind=st.sampled_from([None, Kind.PLAYBACK, Kind.CAPTURE]),
    devices=st.lists(keys, max_size=2).map(tuple),
    volume=st.none() | volumes,
    muted=st.none() | st.booleans(),
    locked=st.booleans(),
    max_volume=st.none() | volumes,
    preferred_sink=st.sampled_from(["", "sink:a"]),
) | st.builds(DeviceIntent, key=keys, name=text, volume=volumes, muted=st.booleans(), max_volume=volumes)


@settings(max_examples=100)
@given(st.lists(intents, max_size=6), st.booleans())
def test_every_memory_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, wishes: list[Any], off: bool
) -> None:
    memory = Memory(rules_off=off)
    for wish in wishes:
        memory = learned(memory, wish, 1.8e9)
    path = tmp_path_factory.getbasetemp() / "round" / "state.json"
    put(path, memory_text.text_of(memory, {}))
    assert memory_text.read_memory(path) == (1, memory, 0)


# --- damage


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is damaged: it is not valid JSON"),
        ('{"version": 1, "apps": {"bin:mu', "is damaged: it is not valid JSON"),
        (b"\xff\xfe\x00", "is damaged: it is not valid JSON"),
        ("[" * 100_000, "is damaged: it is not valid JSON"),
        ("9" * 5_000, "is damaged: it is not valid JSON"),
        ("[]", "is damaged: it does not say which version it is"),
        ('{"version": true}', "is damaged: it does not say which version it is"),
        ('{"version": "1"}', "is damaged: it does not say which version it is"),
        ('{"version": 0}', "is damaged: it does not say which version it is"),
        ('{"version": 1, "apps": []}', "is damaged: its tables are none"),
        (b" " * (memory_text.SIZE_LIMIT + 1), "is larger than 8 MiB, which no memory can be"),
    ],
)
def test_a_damaged_file_is_set_aside_and_the_service_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture, content: str | bytes, why: str
) -> None:
    put(path, content)
    before = path.read_bytes()
    file = StateFile(path)
    assert file.load() == Memory()
    (aside,) = path.parent.iterdir()
    assert aside.name.startswith("state.json.corrupt-")
    assert aside.read_bytes() == before
    assert caplog.messages == [f"{path} {why}", f"{path} is kept as {aside.name}"]
    write(file, memory_with())
    assert load(path) == memory_with()


def test_a_folder_or_a_pipe_in_the_place_of_the_file_is_set_aside(path: Path) -> None:
    path.mkdir(parents=True)
    assert load(path) == Memory()
    os.mkfifo(path)
    save(path, memory_with())
    assert load(path) == memory_with()
    assert len(names(path)) == 3


def test_three_damaged_files_are_kept(path: Path) -> None:
    for i in range(5):
        put(path, f"damage {i}")
        load(path)
    assert [p.read_text() for p in sorted(path.parent.iterdir())] == ["damage 2", "damage 3", "damage 4"]


def test_the_latest_damaged_file_is_kept_whatever_the_clock_says(path: Path) -> None:
    for year in (2101, 2102, 2103):
        put(path.with_name(f"state.json.corrupt-{year}0101T000000.000000000Z"), str(year))
    put(path, "damage")
    load(path)
    assert [p.read_text() for p in sorted(path.parent.iterdir())] == ["damage", "2102", "2103"]


def test_bad_entries_are_left_out_and_the_rest_is_kept(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad: dict[str, Any] = {
        "volume": [math.nan, -0.1, 1.6, True, "0.5", None, [], 10**400, math.inf],
        "muted": [1, "yes", None],
    }
    levels = {"playback": {"volume": 0.4, "muted": True}, "nonsense": {"volume": 0.1}, "sink:x": 7}
    entries = [{key: value} for key, values in bad.items() for value in values]
    levels |= {f"sink:{i}": entry for i, entry in enumerate(entries)}
    fields = {"name": "M\u202eusic", "icon_name": 5, "used": -1, "locked": 1, "max_volume": "loud"}
    fields |= {"preferred_sink": "source:x", "preferred_source": 5, "levels": levels}
    apps = {
        MUSIC: fields,
        "": {},
        "stream:playback-1": {},
        "bin:\ud800": {},
        "bin:b": [],
        "bin:c": {"levels": []},
    }
    devices = {"sink:tv": {"volume": 0.3}, "tv": {"volume": 0.3}}
    put(path, json.dumps({"version": 1, "apps": apps, "devices": devices}))
    memory = load(path)
    assert memory.apps == {
        MUSIC: KnownApp(app_id=MUSIC, name=MUSIC, levels={"playback": Level(volume=0.4, muted=True)}),
        "bin:c": KnownApp(app_id="bin:c", name="bin:c"),
    }
    assert [d.level for d in memory.devices.values()] == [Level(volume=0.3)]
    assert caplog.messages == [
        f"{path}: {len(entries) + 2 + 7 + 4 + 1 + 1} bad entries were left out, the rest is in use"
    ]


def test_keys_that_this_version_does_not_know_are_dropped(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, '{"version": 1, "mood": 7, "apps": {"bin:a": {"name": "A", "colour": "red"}}}')
    assert load(path).apps == {"bin:a": KnownApp(app_id="bin:a", name="A")}
    assert caplog.messages == []


def test_a_file_with_too_many_entries_is_cut_to_the_limits(path: Path) -> None:
    apps = {f"bin:{i}": {"used": i} for i in range(APPS + 500)}
    put(path, json.dumps({"version": 1, "apps": apps}))
    assert len(load(path).apps) == APPS


@settings(max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([MUSIC, "sink:tv", "levels", "playback", "volume", "used", "locked"]), inner
            )
        ),
    )
)
def test_any_content_at_all_is_survived(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any" / "state.json"
    put(path, json.dumps({"version": 1, "apps": {MUSIC: content}, "devices": content}))
    memory = load(path)
    put(path, memory_text.text_of(memory, {}))
    assert load(path) == memory
    assert bounded(memory) is memory


# --- what is not ours to replace


def test_the_file_of_a_newer_version_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(path, '{"version": 2, "apps": "of another kind"}')
    told: list[str] = []
    file = StateFile(path, on_problem=lambda: told.append(file.problem))
    assert file.load() == Memory()
    write(file, memory_with())
    assert path.read_text() == '{"version": 2, "apps": "of another kind"}'
    sentence = f"{path} was written by a newer pwmixer (format 2); what is learned now is not saved"
    assert file.problem == sentence
    assert (caplog.messages, told) == ([sentence], [sentence])


def test_a_file_that_cannot_be_read_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.name)
    file = StateFile(path)
    file.load()
    write(file, memory_with())
    assert path.is_symlink()
    assert file.problem == (
        f"{path} cannot be read: Too many levels of symbolic links; what is learned now is not saved; "
        "mend that and start pwmixer again"
    )


# --- where it cannot be written


def test_a_full_disk_is_told_once_and_tried_again_with_the_next_change(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = save(path, memory_with(0.1))
    with full_disk():
        write(file, memory_with(0.2))
        write(file, memory_with(0.3))
    sentence = (
        f"{path} cannot be written: File too large; what is learned now is not saved until that is mended"
    )
    assert file.problem == sentence
    assert (load(path), names(path)) == (memory_with(0.1), ["state.json"])
    write(file, memory_with(0.4))
    assert (load(path), file.problem) == (memory_with(0.4), "")
    assert caplog.messages == [sentence, f"{path} is saved again"]


@pytest.mark.parametrize(
    ("number", "is_saved"), [(errno.EINVAL, True), (errno.ENOSYS, True), (errno.EIO, False)]
)
def test_where_nothing_can_be_synced_it_is_saved_all_the_same_but_not_where_that_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_saved: bool
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    save(path, memory_with(0.1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        file = save(path, memory_with(0.2))
    assert (load(path), file.problem == "") == (memory_with(0.2 if is_saved else 0.1), is_saved)
    assert names(path) == ["state.json"]


def test_where_there_can_be_no_more_threads_it_is_saved_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def change() -> None:
        file = opened(path)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            await saved_soon(file, memory_with(0.2))
        assert memory_text.read_memory(path)[1] == memory_with(0.2)
        await saved_soon(file, memory_with(0.3))
        assert memory_text.read_memory(path)[1] == memory_with(0.3)

    asyncio.run(change())


def test_attempts_are_ever_further_apart_up_to_five_minutes() -> None:
    assert [store.pause_before(n) for n in (0, 1, 2, 5, 6, 7, 10**6)] == [5, 10, 20, 160, 300, 300, 300]


def test_what_could_not_be_saved_is_saved_when_there_is_room_though_nothing_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FIRST_PAUSE", 0.001)

    async def be_patient() -> None:
        file = StateFile(path, delay=0.0)
        file.load()
        with full_disk():
            file.schedule(memory_with())
            while file._attempts < 3:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0)
        assert file.problem
        await settled(file)
        assert (file.problem, file._timer) == ("", None)

    asyncio.run(be_patient())
    assert load(path) == memory_with()


def test_a_change_does_not_wait_for_the_next_attempt_and_the_end_leaves_none(path: Path) -> None:
    async def change() -> None:
        file = StateFile(path)
        file.load()
        with full_disk():
            for number in range(2):
                now = asyncio.get_running_loop().time()
                file.schedule(memory_with(number / 10))
                assert file._timer is not None
                assert file._timer.when() < now + store.FIRST_PAUSE / 2
                file._stop_timer()
                file._write_aside()
                while file._writing:
                    await asyncio.wait((file._writing,))
                assert file._timer.when() >= now + store.FIRST_PAUSE
                assert file._attempts == 1
            file.schedule(memory_with(0.3))
            file._stop_timer()
            file._write_aside()
            file.flush()
            while file._writing:
                await asyncio.wait((file._writing,))
            assert file.problem
            assert file._timer is None
        file.flush()
        assert (file.problem, file._timer) == ("", None)

    asyncio.run(change())


def test_what_could_not_be_saved_is_saved_at_the_end(path: Path) -> None:
    file = save(path, memory_with(0.1))
    with full_disk():
        write(file, memory_with(0.2))
    file.flush()
    assert load(path) == memory_with(0.2)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/proc/pwmixer/state.json", None),
        ("{}/file/state.json", "its folder is a file"),
    ],
)
def test_a_folder_that_cannot_be_written_is_told_and_the_service_goes_on(
    tmp_path: Path, place: str, why: str | None
) -> None:
    (tmp_path / "file").write_text("here first")
    path = Path(place.format(tmp_path))
    file = save(path, memory_with())
    assert file.problem.startswith(f"{path} cannot be written: {why or ''}")
    assert file.problem.endswith("; what is learned now is not saved until that is mended")
    assert (tmp_path / "file").read_text() == "here first"


def test_a_damaged_file_that_cannot_be_set_aside_is_not_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, "damage")

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        file = save(path, memory_with())
        assert "Operation not permitted" in file.problem
        assert path.read_text() == "damage"
    file.flush()
    assert (load(path), file.problem, len(names(path))) == (memory_with(), "", 2)


def test_what_a_killed_service_left_is_swept_up_when_it_is_old(path: Path) -> None:
    put(path.parent / ".state.json.old.tmp", "half")
    put(path.parent / ".state.json.young.tmp", "half")
    os.utime(path.parent / ".state.json.old.tmp", (0, 0))
    save(path, memory_with())
    assert names(path) == [".state.json.young.tmp", "state.json"]


# --- when it is written


def test_the_first_change_is_saved_within_half_a_second_however_many_follow(path: Path) -> None:
    async def change_often() -> None:
        file = StateFile(path)
        file.load()
        before = asyncio.get_running_loop().time()
        file.schedule(memory_with(0.1))
        timer = file._timer
        assert timer is not None
        assert timer.when() - asyncio.get_running_loop().time() <= store.DELAY < 0.5
        assert timer.when() - before >= store.DELAY
        for number in range(100):
            file.schedule(memory_with(number / 1000))
            assert file._timer is timer
        file.flush()

    asyncio.run(change_often())
    assert load(path) == memory_with(0.099)


def test_nothing_is_written_and_no_timer_runs_while_nothing_changes(path: Path) -> None:
    async def idle() -> None:
        file = StateFile(path, delay=0.0)
        memory = file.load()
        file.schedule(memory)
        assert (file._timer, file._writing) == (None, None)
        memory = memory_with()
        file.schedule(memory)
        await settled(file)
        written = inode(path)
        file.schedule(memory)
        file.flush()
        assert (file._timer, file._writing, inode(path)) == (None, None, written)

    asyncio.run(idle())


def inode(path: Path) -> int:
    return path.stat().st_ino


async def settled(file: StateFile) -> None:
    """Wait until nothing is left to be written."""
    while file._timer or file._writing:
        await (asyncio.wait((file._writing,)) if file._writing else asyncio.sleep(0))


def test_what_changes_during_a_write_is_written_next(path: Path) -> None:
    async def change_twice() -> None:
        file = StateFile(path, delay=0.0)
        file.load()
        file.schedule(memory_with(0.1))
        while not file._writing:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
        file.schedule(memory_with(0.2))
        await settled(file)

    asyncio.run(change_twice())
    assert load(path) == memory_with(0.2)


def test_a_write_that_fails_in_a_way_that_nobody_thought_of_does_not_end_all_writing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []

    async def change_twice() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: said.append(about["exception"]))
        file, write = StateFile(path, delay=0.0), StateFile._write_latest
        file.load()
        error = ValueError("nobody thought of this")
        with monkeypatch.context() as failing:
            failing.setattr(StateFile, "_write_latest", lambda _: raised(error))
            file.schedule(memory_with(0.1))
            await settled(file)
        assert (said, StateFile._write_latest) == ([error], write)
        file.schedule(memory_with(0.2))
        await settled(file)

    asyncio.run(change_twice())
    assert load(path) == memory_with(0.2)


def test_a_write_ends_after_the_loop_has(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, replace = threading.Event(), StateFile._replace
    monkeypatch.setattr(StateFile, "_replace", lambda *a: goes_on.wait(PATIENCE) and replace(*a))
    before = {*threading.enumerate()}

    async def change() -> None:
        file = StateFile(path, delay=60.0)
        file.load()
        file.schedule(memory_with(0.1))
        file._write_aside()

    asyncio.run(change())
    (thread,) = {*threading.enumerate()} - before
    goes_on.set()
    thread.join(PATIENCE)
    assert load(path) == memory_with(0.1)


def raised(error: Exception) -> str:
    raise error


def test_the_time_of_a_write_counts_for_what_changes_during_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change_twice() -> None:
        file, goes_on, replace = StateFile(path, delay=60.0), threading.Event(), StateFile._replace
        file.load()
        monkeypatch.setattr(StateFile, "_replace", lambda *a: goes_on.wait(PATIENCE) and replace(*a))
        file.schedule(memory_with(0.1))
        assert file._timer is not None
        file._timer.cancel()
        file._write_aside()
        while file._tried is not file._latest:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
        file.schedule(memory_with(0.2))
        changed_at = asyncio.get_running_loop().time()
        goes_on.set()
        while file._writing:
            await asyncio.wait((file._writing,))
        assert file._timer is not None
        assert file._timer.when() <= changed_at + 60.0
        file.flush()

    asyncio.run(change_twice())
    assert load(path) == memory_with(0.2)


# --- kill -9


class Writers:
    """The program of `state_writer.py`, and what it forks."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("state_writer.py")
        self._process = subprocess.Popen(
            [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder: Path, delay: float, life: float) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{folder} {delay} {life}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def writers() -> Iterator[Writers]:
    started = Writers()
    yield started
    started.close()


def killed(writers: Writers, folders: list[Path], delay: float, lives: Callable[[], float]) -> None:
    """Let a writer live in each folder for its time; return when all have been killed."""
    for folder in folders:
        (folder / "log").unlink(missing_ok=True)
    for pid in [writers.start(folder, delay, lives()) for folder in folders]:
        with contextlib.suppress(ProcessLookupError):
            wait_for_end(os.pidfd_open(pid))


def wait_for_end(process: int) -> None:
    """Wait until a process has ended, all of it: a write to the disk is finished even by the killed."""
    ended, _, _ = select.select([process], [], [], 10)
    os.close(process)
    assert ended


def number_in(memory: Memory) -> int:
    return int(memory.apps["bin:counter"].name) if "bin:counter" in memory.apps else 0


def changes_in(folder: Path) -> tuple[list[tuple[int, float]], float]:
    """Return the numbers and times of the changes, and when the writer was to be killed."""
    killed_at, *lines = (folder / "log").read_text().splitlines() if (folder / "log").exists() else ["0"]
    return [(int(number), float(at)) for number, at in (line.split() for line in lines)], float(killed_at)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / str(i) for i in range(8)]
    for i, folder in enumerate(made):
        folder.mkdir()
        apps = {f"bin:{j}": KnownApp(app_id=f"bin:{j}", name="Somebody") for j in range(i * 50)}
        put(folder / "state.json", memory_text.text_of(Memory(apps=apps), {}))
    return made


def test_two_hundred_kills_in_the_middle_of_writes_leave_a_whole_file(
    writers: Writers, folders: list[Path]
) -> None:
    dice = random.Random(7)  # noqa: S311 - the same lives in every run
    before = [load(folder / "state.json") for folder in folders]
    for _ in range(25):
        killed(writers, folders, 0.0, lambda: dice.uniform(0.02, 0.12))
        for i, folder in enumerate(folders):
            version, memory, dropped = memory_text.read_memory(folder / "state.json")
            assert (version, dropped) == (1, 0)
            assert set(before[i].apps) <= set(memory.apps)
            # The last change may be saved and not yet logged; nothing older than this life is lost.
            last = max((n for n, _ in changes_in(folder)[0]), default=number_in(before[i]))
            assert number_in(before[i]) <= number_in(memory) <= last + 1
            before[i] = memory
    left = [p for folder in folders for p in folder.glob(".state.json.*.tmp")]
    assert len(left) > 20, "too few of the kills were in the middle of a write"
    assert not [p for folder in folders for p in folder.glob("*.corrupt-*")]


def test_a_kill_loses_no_more_than_the_last_half_second(writers: Writers, folders: list[Path]) -> None:
    dice, judged = random.Random(8), 0  # noqa: S311 - likewise
    for _ in range(3):
        killed(writers, folders, store.DELAY, lambda: dice.uniform(0.7, 1.2))
        for folder in folders:
            changes, killed_at = changes_in(folder)
            # A writer that the machine has not let run for a while could not have written meanwhile.
            times = [*(t for _, t in changes), killed_at]
            stalled = max((later - t for t, later in pairwise(times)), default=0.0)
            old = [n for n, t in changes if t <= killed_at - 0.5 - stalled]
            if old:  # not stalled for all its life
                judged += 1
                assert number_in(load(folder / "state.json")) >= old[-1]
    assert judged


def test_what_is_expected_is_asked_for_when_it_is_written_and_not_before(path: Path) -> None:
    async def expect() -> None:
        file, asked = StateFile(path), list[float]()

        def ask() -> bool:
            asked.append(0.1 * (len(asked) + 1))
            file.schedule(memory_with(asked[-1]))
            return False

        file.load()
        file.expect(ask)
        timer = file._timer
        assert timer is not None
        assert timer.when() - asyncio.get_running_loop().time() <= store.DELAY
        file.expect(ask)
        assert file._timer is timer
        assert asked == []
        timer.cancel()
        file._write_aside()
        file.expect(ask)  # during the write
        assert asked == [0.1]
        while file._writing:
            await asyncio.wait((file._writing,))
        assert load(path) == memory_with(0.1)
        assert file._timer is not timer
        file.flush()
        assert asked == [0.1, 0.2]

    asyncio.run(expect())
    assert load(path) == memory_with(0.2)


def test_what_is_expected_comes_in_parts_between_which_the_loop_goes_on(path: Path) -> None:
    async def expect() -> None:
        file, seen = StateFile(path, delay=0.0), list[object]()

        def ask() -> bool:
            number = len(seen)
            asyncio.get_running_loop().call_soon(seen.append, "another")
            seen.append(number)
            file.schedule(memory_with(0.1 * (number + 1)))
            return number < 4

        file.load()
        file.expect(ask)
        while file._timer:
            assert file._writing is None
            await asyncio.sleep(0)
        assert seen == [0, "another", 2, "another", 4]
        assert file._writing is not None
        await asyncio.wait((file._writing,))
        assert load(path) == memory_with(0.5)
        seen.clear()
        file.expect(ask)
        file.flush()  # there is no other turn
        assert [number for number in seen if number != "another"] == [0, 1, 2, 3, 4]

    asyncio.run(expect())
    assert load(path) == memory_with(0.5)


def test_where_nothing_comes_of_what_was_expected_nothing_is_written(path: Path) -> None:
    async def expect() -> None:
        file = StateFile(path, delay=0.0)
        file.load()
        file.expect(lambda: False)
        while file._timer:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
        assert file._writing is None

    asyncio.run(expect())
    assert not path.exists()


# --- two with one file


OTHER = "another pwmixer, as on another session bus, keeps"


def test_of_two_with_one_file_the_first_saves_and_the_other_says_that_it_does_not(path: Path) -> None:
    save(path, memory_with(0.1))
    first, second = opened(path), opened(path)
    assert second.problem == f"{OTHER} {path}; what is learned now is not saved"

    async def main() -> None:
        await saved_soon(second, memory_with(0.2))  # no timer is left for another attempt
        await saved_soon(first, memory_with(0.3))

    asyncio.run(main())
    second.flush()
    assert (first.problem, second.problem.startswith(OTHER)) == ("", True)
    first.flush()
    assert load(path) == memory_with(0.3)


def test_when_the_first_has_ended_and_saved_nothing_the_other_one_saves(path: Path) -> None:
    save(path, memory_with(0.1))
    first, second = opened(path), opened(path)
    first.flush()
    asyncio.run(saved_soon(second, memory_with(0.2)))
    assert second.problem == ""
    second.flush()
    assert load(path) == memory_with(0.2)


def test_what_the_first_has_saved_the_other_one_never_replaces(path: Path) -> None:
    save(path, memory_with(0.1))
    first, second = opened(path), opened(path)
    write(first, memory_with(0.3))
    for volume in (0.2, 0.4):
        write(second, memory_with(volume))
        assert second.problem == (
            f"{path} was written by another pwmixer, as on another session bus; "
            "what is learned now is not saved; start pwmixer again"
        )
    assert load(path) == memory_with(0.3)


def test_where_there_is_no_folder_yet_the_one_that_makes_it_is_the_first(path: Path) -> None:
    first, second = opened(path), opened(path)

    async def main() -> None:
        await saved_soon(first, memory_with(0.3))
        await saved_soon(second, memory_with(0.2))
        await saved_soon(first, memory_with(0.4))

    asyncio.run(main())
    assert (first.problem, second.problem.startswith(OTHER)) == ("", True)
    first.flush()
    assert load(path) == memory_with(0.4)


def test_who_has_let_go_of_it_and_goes_on_after_all_has_it_again(path: Path) -> None:
    """As where the instance has died that was to take over."""
    file = save(path, memory_with(0.1))
    asyncio.run(saved_soon(file, memory_with(0.2)))
    assert opened(path).problem.startswith(OTHER)
    assert file.problem == ""


def test_where_folders_cannot_be_locked_all_is_as_with_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    save(path, memory_with(0.1))
    file = opened(path)
    write(file, memory_with(0.2))
    assert (file.problem, load(path)) == ("", memory_with(0.2))


@pytest.mark.parametrize("heir_dies", [False, True])
def test_on_a_slow_disk_who_hands_over_gives_up_its_write_and_the_heir_has_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, heir_dies: bool
) -> None:
    sync, begun, goes_on = os.fsync, threading.Event(), threading.Event()

    def sync_late(_descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)  # that of all others
        begun.set()
        assert goes_on.wait(PATIENCE)

    async def main() -> None:
        first, latest = opened(path), memory_with(0.2)
        await saved_soon(first, memory_with(0.0))
        monkeypatch.setattr(os, "fsync", sync_late)
        first.schedule(memory_with(0.1))
        await asyncio.to_thread(begun.wait, PATIENCE)
        first.schedule(latest)
        await first.hand_over(0.0)
        assert not first.has_saved(latest)

        heir = opened(path)
        await saved_soon(heir, memory_with(0.3))
        assert (heir.problem, read_memory(path)[1]) == ("", memory_with(0.3))
        if heir_dies:
            heir.flush()
            first._known_as = first._looks()
            first.schedule(latest)
        goes_on.set()
        await settled(first)
        assert first.problem == ""
        assert names(path) == ["state.json"]

    asyncio.run(main())
    assert read_memory(path)[1] == memory_with(0.2 if heir_dies else 0.3)


def test_who_hands_over_saves_what_is_scheduled_and_what_is_expected_and_lets_go(path: Path) -> None:
    async def main() -> None:
        file, latest = opened(path), memory_with(0.3)
        file.schedule(memory_with(0.1))
        while not file._writing:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
        file.schedule(memory_with(0.2))

        def is_more() -> bool:
            file.schedule(latest)
            return False

        file.expect(is_more)
        await file.hand_over(PATIENCE)
        assert file.has_saved(latest)
        assert opened(path).problem == "", "the next one has the file"

    asyncio.run(main())
    assert load(path) == memory_with(0.3)
