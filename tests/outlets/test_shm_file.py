"""The file in /dev/shm: whose it is, what is never touched, and who takes it away."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pwmixer_dbus.outlets.shm.file import SharedFile
from pwmixer_dbus.outlets.shm.layout import HEADER, Capacity
from pwmixer_dbus.outlets.shm.reader import Reader, ReaderError
from pwmixer_dbus.outlets.shm.writer import Writer

ROOM = Capacity(devices=1, apps=1, texts=64)


class Maker:
    """One instance of the service, as far as the file goes."""

    def __init__(self, folder: Path, generation: int = 1) -> None:
        self.file = SharedFile(folder / "state", ROOM.size)
        self.writer = Writer[str](self.file.memory, ROOM, pid=1, clock=time.monotonic_ns)
        self.writer.publish(generation, {}, {})

    def show(self) -> "Maker":
        self.file.show()
        return self

    def close(self) -> None:
        self.writer.close()
        self.file.remove()


def generation(reader: Reader) -> int | None:
    snapshot = reader.read()
    return None if snapshot is None else snapshot.generation


def test_it_is_private_and_of_one_size(tmp_path: Path) -> None:
    old = os.umask(0)
    maker = Maker(tmp_path).show()
    os.umask(old)
    about = (tmp_path / "state").stat()
    assert stat.S_IMODE(about.st_mode) == 0o600
    assert about.st_size == ROOM.size
    assert about.st_blocks * 512 >= ROOM.size, "no room is missing later, when it is written"
    maker.close()


def test_nobody_sees_it_before_it_is_whole_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    assert not (tmp_path / "state").exists()
    maker.show()
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]
    maker.close()
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_given_up_before_it_is_shown_leaves_nothing(tmp_path: Path) -> None:
    Maker(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_readers_are_told_when_it_is_closed_and_find_the_next_one(tmp_path: Path) -> None:
    reader = Reader(str(tmp_path / "state"))
    assert generation(reader) is None
    maker = Maker(tmp_path, generation=1).show()
    assert generation(reader) == 1
    assert reader.is_alive()
    maker.close()
    assert generation(reader) is None
    assert not reader.is_alive()
    maker = Maker(tmp_path, generation=2).show()
    assert generation(reader) == 2
    maker.close()


def test_readers_find_one_or_the_other_at_every_moment_of_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, rename, found = Reader(str(tmp_path / "state")), Path.rename, list[int | None]()

    def look_around(path: Path, target: Path) -> Path:
        found.append(generation(reader))
        renamed = rename(path, target)
        found.append(generation(reader))
        return renamed

    old, new = Maker(tmp_path, generation=1).show(), Maker(tmp_path, generation=2)
    assert generation(reader) == 1
    monkeypatch.setattr(Path, "rename", look_around)
    new.show()
    found.append(generation(reader))
    assert found == [1, 1, 2]
    for maker in (old, new):
        maker.close()


def test_what_a_dead_instance_has_left_is_replaced_and_its_readers_notice(tmp_path: Path) -> None:
    reader = Reader(str(tmp_path / "state"))
    maker = Maker(tmp_path, generation=1).show()
    assert generation(reader) == 1
    left = (tmp_path / "state").read_bytes()
    maker.close()
    (tmp_path / "state").write_bytes(left)  # as if it had been killed
    reader = Reader(str(tmp_path / "state"))
    assert generation(reader) == 1
    assert not reader.is_alive(), "it looks as it was left, but nobody writes it"
    maker = Maker(tmp_path, generation=2).show()
    assert generation(reader) == 2
    assert reader.is_alive()
    maker.close()


def test_one_that_died_in_the_midst_of_writing_is_left_by_its_readers(tmp_path: Path) -> None:
    dead = Maker(tmp_path).show()
    reader = Reader(str(tmp_path / "state"))
    assert generation(reader) == 1
    dead.writer._words[HEADER.offset("sequence") // 4] += 1
    maker = Maker(tmp_path, generation=2).show()
    assert generation(reader) == 2
    maker.close()
    dead.close()


def test_the_one_that_hands_over_does_not_take_the_file_of_the_other_away(tmp_path: Path) -> None:
    old = Maker(tmp_path, generation=1).show()
    reader = Reader(str(tmp_path / "state"))
    assert generation(reader) == 1
    new = Maker(tmp_path, generation=2).show()
    assert generation(reader) == 2, "at once, while the old one still lives"
    old.close()
    assert generation(Reader(str(tmp_path / "state"))) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]
    new.close()
    assert list(tmp_path.iterdir()) == []


def test_even_if_the_other_comes_in_the_instant_of_the_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Maker(tmp_path, generation=1).show()
    others: list[Maker] = []
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        if not others:  # the old one has looked, and is about to take the file away
            monkeypatch.setattr("pwmixer_dbus.outlets.shm.file.os.getpid", lambda: 4242)
            others.append(Maker(tmp_path, generation=2))
            others[0].show()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    old.close()
    assert generation(Reader(str(tmp_path / "state"))) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]
    others[0].close()


def test_a_link_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "state").symlink_to("precious")
    maker = Maker(tmp_path)
    with pytest.raises(OSError, match="is not ours; remove it"):
        maker.show()
    maker.close()
    with pytest.raises(ReaderError, match="cannot be read"):
        Reader(str(tmp_path / "state")).read()
    assert (tmp_path / "precious").read_text() == "mine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["precious", "state"]


def a_file_of_another_program(path: Path) -> None:
    path.write_bytes(b"samples" * 1000)


def an_empty_file(path: Path) -> None:
    path.touch()


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_file_of_another_program, an_empty_file, a_folder, a_pipe])
def test_what_is_not_ours_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "state")
    before = (tmp_path / "state").lstat()
    maker = Maker(tmp_path)
    with pytest.raises(OSError, match="choose another name"):
        maker.show()
    maker.close()
    after = (tmp_path / "state").lstat()
    assert (before.st_ino, before.st_size, before.st_mtime_ns) == (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )
    with pytest.raises(ReaderError):
        Reader(str(tmp_path / "state")).read()


def test_the_file_of_another_user_is_neither_believed_nor_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Maker(tmp_path).show()
    before = (tmp_path / "state").read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    maker = Maker(tmp_path)
    with pytest.raises(OSError, match="is not ours"):
        maker.show()
    maker.close()
    with pytest.raises(ReaderError, match="is not a file of your own"):
        Reader(str(tmp_path / "state")).read()
    assert (tmp_path / "state").read_bytes() == before
    theirs.close()


def test_a_version_that_is_not_known_is_told(tmp_path: Path) -> None:
    maker = Maker(tmp_path).show()
    data = bytearray((tmp_path / "state").read_bytes())
    maker.close()
    data[HEADER.offset("version")] = 2
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(ReaderError, match="is not of version 1"):
        Reader(str(tmp_path / "state")).read()


def test_what_a_crashed_one_of_the_same_process_number_has_left_aside_is_in_nobodys_way(
    tmp_path: Path,
) -> None:
    (tmp_path / f"state.{os.getpid()}").write_text("half")
    maker = Maker(tmp_path).show()
    maker.close()
    assert list(tmp_path.iterdir()) == []
