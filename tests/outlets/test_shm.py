"""The shared memory: what is written is what every reader reads, whatever comes and goes, and overflow is told."""

import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gen_shm_layout
import pytest
import shm_dump
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from session import PATIENCE, completed

from pwmixer_dbus.core.model import clean
from pwmixer_dbus.outlets.shm import reader as python_reader
from pwmixer_dbus.outlets.shm.file import SharedFile
from pwmixer_dbus.outlets.shm.layout import APP, DEVICE, HEADER, RECORDS, STREAMS, Capacity, flag
from pwmixer_dbus.outlets.shm.reader import BusyError, Reader, Snapshot
from pwmixer_dbus.outlets.shm.writer import About, Facts, Row, Writer

ROOM = Capacity(devices=2, apps=3, texts=256)
PACKAGE_ROOT = Path(__file__).parents[2]
DEVICES, APPS = ("a", "b", "c"), ("bin:a", "bin:b", "bin:c", "bin:d", "bin:e")
TEXTS = st.one_of(
    st.sampled_from(["", "Firefox", "\ufeffmark", "é", "🎧" * 20, "x" * 100]), st.text(max_size=12).map(clean)
)
VOLUMES = st.floats(0.0, 1.5)
STREAM_NUMBERS = st.lists(st.integers(1, 2**32 - 1), max_size=STREAMS + 2).map(tuple)


@contextmanager
def written(path: Path, room: Capacity = ROOM) -> Iterator[Writer[str]]:
    """Make a file, and take it away at the end."""
    file = SharedFile(path, room.size)
    writer = Writer[str](file.memory, room, pid=7, clock=time.monotonic_ns)
    file.show()
    try:
        yield writer
    finally:
        writer.close()
        file.remove()


def row(name: str = "Firefox", volume: float = 0.5, streams: tuple[int, ...] = (), number: int = 0) -> Row:
    return Row(number, 0, volume, 1.0, About((f"bin:{name}", name, "icon"), streams))


def seen(reader: Reader) -> Snapshot:
    snapshot = reader.read()
    assert snapshot is not None
    return snapshot


# What is read is what was written


def rows_of(flags: int, streams: st.SearchStrategy[tuple[int, ...]]) -> st.SearchStrategy[Row]:
    about = st.builds(About, st.tuples(TEXTS, TEXTS, TEXTS), streams)
    return st.builds(Row, st.integers(0, 2**32 - 1), st.integers(0, flags), VOLUMES, VOLUMES, about)


def changes(keys: tuple[str, ...], rows: st.SearchStrategy[Row]) -> st.SearchStrategy[dict[str, Row | None]]:
    return st.dictionaries(st.sampled_from(keys), st.none() | rows, max_size=len(keys))


PUBLICATIONS = st.lists(
    st.tuples(
        changes(DEVICES, rows_of(31, st.just(()))),
        changes(APPS, rows_of(31, STREAM_NUMBERS)),
        st.none() | st.builds(Facts, st.booleans(), st.integers(0, 9), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=8,
)


def plain(record: str, row: Row) -> dict[str, Any]:
    """Say what a reader has to read where a row was written, but for its id and its texts."""
    bits = {
        name: bool(row.flags & flag(record, name))
        for name in ("muted", "locked", *(("monitor", "running") if record == "device" else ()))
    }
    either: dict[str, Any] = (
        {"server_index": row.number, "kind": "source" if row.flags & flag(record, "source") else "sink"}
        if record == "device"
        else {}
    )
    if record == "app":
        bits |= {name: bool(row.flags & flag(record, name)) for name in ("active", "hidden", "writable")}
        streams = row.about.streams
        either = {"device": row.number, "stream_count": len(streams), "streams": list(streams[:STREAMS])}
    return {"volume": row.volume, "max_volume": row.max_volume, "peak": 0.0, **bits, **either}


def check(
    state: dict[str, Any], devices: dict[str, Row], apps: dict[str, Row], told: Facts, generation: int
) -> None:
    """Compare what was read with what there is; what is missing has to be flagged, and nothing else may be."""
    assert (state["generation"], state["connected"]) == (generation, told.connected)
    assert (state["default_sink"], state["default_source"]) == (told.default_sink, told.default_source)
    is_short = False
    for table, record, rows, most, names in (
        ("devices", "device", devices, ROOM.devices, ("name", "description", "icon_name")),
        ("apps", "app", apps, ROOM.apps, ("app_id", "name", "icon_name")),
    ):
        shown = state[table]
        assert len(shown) == min(len(rows), most)
        assert (table in state["overflow"]) == (len(rows) > most)
        assert len({one["id"] for one in shown}) == len(shown)
        left = [(plain(record, row), row.about.texts) for row in rows.values()]
        for one in shown:
            texts = tuple(one[name] for name in names)
            rest = {k: v for k, v in one.items() if k not in {"id", *names}}
            found = next(
                (p, t)
                for p, t in left
                if p == rest and all(a in {"", b} for a, b in zip(texts, t, strict=True))
            )
            left.remove(found)
            is_short |= texts != found[1]
    # A text that something left out has may be what there was no room for.
    assert not is_short or "texts" in state["overflow"]
    crowded = [a for a in state["apps"] if a["stream_count"] > STREAMS]
    assert ("streams" in state["overflow"]) == bool(crowded)


def is_empty_behind(path: Path, devices: int, apps: int) -> bool:
    """Whether nothing is left where no record is: a reader may still look there for one that has moved."""
    data = path.read_bytes()
    behind_devices = data[HEADER.size + devices * DEVICE.size : ROOM.app_offset]
    behind_apps = data[ROOM.app_offset + apps * APP.size : ROOM.text_offset]
    return not any(behind_devices) and not any(behind_apps)


def test_every_reader_reads_what_was_written(tmp_path: Path) -> None:
    paths: list[Path] = []
    expected: list[tuple[dict[str, Row], dict[str, Row], Facts, int]] = []

    @settings(max_examples=60, phases=[Phase.explicit, Phase.generate])
    @given(PUBLICATIONS)
    def write(publications: list[tuple[dict[str, Row | None], dict[str, Row | None], Facts | None]]) -> None:
        path = tmp_path / "file"
        devices: dict[str, Row] = {}
        apps: dict[str, Row] = {}
        with written(path) as writer:
            told = Facts()
            for generation, (some_devices, some_apps, facts) in enumerate(publications):
                told = facts or told
                writer.publish(generation, some_devices, some_apps, facts)
                for rows, some in ((devices, some_devices), (apps, some_apps)):
                    rows.update({k: v for k, v in some.items() if v is not None})
                    for key in [k for k, v in some.items() if v is None]:
                        rows.pop(key, None)
                (state,) = shm_dump.by_python([path])
                assert state is not None
                check(state, devices, apps, told, generation)
                assert is_empty_behind(path, len(state["devices"]), len(state["apps"]))
            kept = tmp_path / f"kept-{len(paths)}"
            kept.write_bytes(path.read_bytes())
        paths.append(kept)
        expected.append((devices, apps, told, generation))

    write()
    states = shm_dump.by_python(paths)
    for state, world in zip(states, expected, strict=True):
        assert state is not None
        check(state, *world)
    assert shm_dump.by_gjs(paths) == states
    assert shm_dump.by_c(paths, tmp_path) == states


def test_all_that_is_left_out_for_want_of_room_is_shown_when_there_is_room_again(tmp_path: Path) -> None:
    with written(tmp_path / "file") as writer:
        reader = Reader(str(tmp_path / "file"))
        loud = {f"bin:{i}": row(f"p{i}", streams=(i,)) for i in range(1, 3)}
        writer.publish(1, {}, {f"bin:silent{i}": row(f"s{i}") for i in range(3)})
        assert seen(reader).overflow == ()
        writer.publish(2, {}, loud)
        assert seen(reader).overflow == ("apps",)
        assert {app.name for app in seen(reader).apps} == {"p1", "p2", "s0"}, "what plays comes first"
        writer.publish(3, {}, {"bin:1": None})
        assert {app.name for app in seen(reader).apps} == {"p2", "s0", "s1"}
        assert seen(reader).overflow == ("apps",)
        writer.publish(4, {}, {"bin:2": None})
        assert {app.name for app in seen(reader).apps} == {"s0", "s1", "s2"}
        assert seen(reader).overflow == ()


def test_names_that_come_and_go_never_use_up_the_room_for_texts(tmp_path: Path) -> None:
    with written(tmp_path / "file") as writer:
        reader = Reader(str(tmp_path / "file"))
        for turn in range(1000):
            writer.publish(turn, {}, {"bin:a": row(f"Firefox {turn}"), "bin:b": row("constant")})
            assert [app.name for app in seen(reader).apps] == [f"Firefox {turn}", "constant"]
            assert seen(reader).overflow == ()


def test_a_text_that_many_have_is_there_once(tmp_path: Path) -> None:
    with written(tmp_path / "file") as writer:
        writer.publish(1, {}, {f"bin:{i}": row(f"p{i}") for i in range(3)})
        data = (tmp_path / "file").read_bytes()
        assert data.count(b"icon\0") == 1
        places = {
            struct.unpack_from("@I", data, ROOM.app_offset + i * APP.size + APP.offset("icon_name"))
            for i in range(3)
        }
        assert len(places) == 1


def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    with written(tmp_path / "file") as writer:
        reader = Reader(str(tmp_path / "file"))
        ids = []
        for turn in range(20):
            writer.publish(2 * turn, {"a": row()}, {"bin:a": row()})
            ids.append((seen(reader).devices[0].id, seen(reader).apps[0].id))
            writer.publish(2 * turn + 1, {"a": None}, {"bin:a": None})
        assert len({device for device, _ in ids}) == len({app for _, app in ids}) == 20


def test_only_what_has_changed_is_written(tmp_path: Path) -> None:
    with written(tmp_path / "file") as writer:
        writer.publish(1, {}, {f"bin:{i}": row(f"p{i}") for i in range(3)})
        before = (tmp_path / "file").read_bytes()
        writer.publish(2, {}, {"bin:1": row("p1", volume=0.25)})
        after = (tmp_path / "file").read_bytes()
        different = {at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}
        level = ROOM.app_offset + APP.size + APP.offset("volume")
        assert {at for at in different if at >= HEADER.size} <= set(range(level, level + 8))
        assert min(different) >= HEADER.offset("sequence")


# One application, quickly


def test_the_level_of_one_application_is_followed_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    reader = Reader(str(path))
    look = reader.follow("bin:c")
    assert look() is None
    with written(path) as writer:
        assert look() is None
        writer.publish(1, {}, {"bin:a": row("a")})
        assert look() is None
        named = {
            f"bin:{n}": Row(0, flag("app", "active"), 0.5, 1.0, About((f"bin:{n}", n, ""))) for n in "abc"
        }
        writer.publish(2, {}, named)
        assert look() == (0.5, False, True, 0.0)
        writer.publish(3, {}, {"bin:a": None, "bin:c": named["bin:c"]._replace(volume=0.25)})
        assert look() == (0.25, False, True, 0.0), "it has another place now"
        writer.publish(4, {}, {"bin:c": None})
        assert look() is None
        writer.publish(5, {}, {"bin:c": named["bin:c"]})
        assert look() == (0.5, False, True, 0.0)
    assert look() is None, "the service has ended"
    with written(path) as writer:
        writer.publish(1, {}, {"bin:x": row("x"), "bin:c": named["bin:c"]._replace(volume=0.125)})
        assert look() == (0.125, False, True, 0.0), "the service has started again"


# Who reads while it is written


def test_a_writer_that_never_finishes_is_told_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with written(path) as writer:
        writer.publish(1, {}, {"bin:a": row()})
        writer._words[HEADER.offset("sequence") // 4] += 1
        with pytest.raises(BusyError):
            Reader(str(path), patience=0.01).read()
        assert shm_dump.by_gjs([path]) == [None]
        assert shm_dump.by_c([path], tmp_path) == [None]


# The layout and what is made from it


def test_the_readers_and_the_documentation_have_the_layout() -> None:
    for name, filled in gen_shm_layout.FILES.items():
        text = (gen_shm_layout.ROOT / name).read_text(encoding="utf-8")
        assert filled(text) == text, "run scripts/gen_shm_layout.py"


def test_every_field_is_aligned_and_no_record_has_a_gap() -> None:
    sizes = {"char": 1, "text": 4, "u32": 4, "f32": 4, "u64": 8, "f64": 8}
    for record in RECORDS:
        for field in record.fields:
            assert record.offset(field.name) % sizes[field.kind] == 0
        assert record.struct(record.fields[0].name, record.fields[-1].name).size == record.size
        assert record.size % 8 == 0
    assert Capacity().size % 8 == ROOM.size % 8 == 0


def test_devices_and_applications_begin_alike_so_that_one_code_writes_both() -> None:
    shared = [(field.kind, field.count) for field in DEVICE.fields[:9]]
    assert [(field.kind, field.count) for field in APP.fields[:9]] == shared


def test_the_reader_for_python_needs_nothing_else(tmp_path: Path) -> None:
    """It may be copied, and to import it brings in nothing that is slow to load."""
    copy = tmp_path / "copied_reader.py"
    copy.write_text(Path(python_reader.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    for module, folder in (("copied_reader", tmp_path), (python_reader.__name__, PACKAGE_ROOT)):
        code = f"import sys; sys.path.insert(0, {str(folder)!r}); before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
        done = completed(sys.executable, "-I", "-S", "-c", code, check=True)
        loaded = {name.partition(".")[0] for name in done.stdout.split()}
        assert (
            loaded & {"asyncio", "dataclasses", "inspect", "dbus_fast", "pulsectl", "pydantic", "logging"}
            == set()
        )


def test_the_example_in_c_prints_what_there_is(tmp_path: Path) -> None:
    program = shm_dump.compiled(shm_dump.READERS / "example.c", tmp_path / "example")
    path = tmp_path / "file"
    with written(path) as writer:
        about = About(("speakers", "Speakers", ""))
        writer.publish(
            3, {"s": Row(1, 1, 0.25, 1.0, about)}, {"bin:a": row("a")}, Facts(True, writer.device_id("s"), 0)
        )
        done = completed(program, "--once", path, check=True)
    assert done.stdout.splitlines() == [
        "generation 3",
        "sink\tspeakers\t0.2500\tmuted\tdefault",
        "app\tbin:a\ta\t0.5000",
    ]
    assert subprocess.run((program, "--once", path), check=False, timeout=PATIENCE).returncode == 1, (
        "it has gone"
    )
