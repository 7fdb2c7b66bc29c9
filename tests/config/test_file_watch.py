"""Real files in a real folder: what an editor, a person or a dotfile tool does to them is told, once, and by name."""

import asyncio
import ctypes
import errno
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from session import PATIENCE

from pwmixer_dbus.config.watch import Watch


class Told:
    """Collects what is told, and waits for it."""

    def __init__(self) -> None:
        self.all: list[frozenset[Path]] = []
        self._news = asyncio.Event()

    def __call__(self, files: frozenset[Path]) -> None:
        self.all.append(files)
        self._news.set()

    async def next(self) -> frozenset[Path]:
        """Wait until something is told, and return the last of it."""
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()
        self._news.clear()
        return self.all[-1]


@asynccontextmanager
async def watching(*files: Path) -> AsyncIterator[Told]:
    told = Told()
    watch = Watch(files, told)
    try:
        yield told
    finally:
        watch.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a file in it."""
    folder = tmp_path / "config" / "pwmixer"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("old")
    return folder


def replaced(file: Path, text: str) -> None:
    """Write as most editors and the service itself do."""
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


def moved_away(folder: Path) -> None:
    folder.rename(folder.with_name("old"))


async def test_a_file_that_is_written_replaced_or_removed_is_told(folder: Path) -> None:
    file = folder / "config.toml"
    async with watching(file) as told:
        file.write_text("in place")
        assert await told.next() == {file}
        replaced(file, "by rename")
        assert await told.next() == {file}
        file.unlink()
        assert await told.next() == {file}
        file.write_text("again")
        assert await told.next() == {file}


async def test_only_the_files_that_are_named_are_told_and_each_by_its_name(folder: Path) -> None:
    config, rules = folder / "config.toml", folder / "rules.toml"
    async with watching(config, rules) as told:
        (folder / "notes.txt").write_text("of nobody's interest")
        replaced(rules, "[[rules]]")
        assert await told.next() == {rules}
        assert told.all == [{rules}]


async def test_many_changes_in_a_moment_are_told_once(folder: Path) -> None:
    config, rules = folder / "config.toml", folder / "rules.toml"
    async with watching(config, rules) as told:
        for number in range(50):
            config.write_text(str(number))
            replaced(rules, str(number))
        assert await told.next() == {config, rules}
        assert len(told.all) == 1


async def test_folders_that_are_missing_may_come_later_and_go_again(tmp_path: Path) -> None:
    file = tmp_path / "one" / "two" / "config.toml"
    async with watching(file) as told:
        for _ in range(3):
            file.parent.mkdir(parents=True)
            file.write_text("there")
            assert await told.next() == {file}
            replaced(file, "still there")
            assert await told.next() == {file}
            file.unlink()
            file.parent.rmdir()
            file.parent.parent.rmdir()
            assert await told.next() == {file}


async def test_a_folder_into_which_we_may_not_look_keeps_nobody_from_watching_another(folder: Path) -> None:
    """Who has all rights may look anywhere, but nowhere is a name as long as that."""
    file, closed = folder / "config.toml", folder / ("x" * 300) / "config.toml"
    async with watching(file, closed) as told:
        file.write_text("in place")
        assert await told.next() == {file}


async def test_a_folder_that_is_replaced_is_followed(folder: Path) -> None:
    file = folder / "config.toml"
    async with watching(file) as told:
        moved_away(folder)
        assert await told.next() == {file}
        file.parent.mkdir()
        file.write_text("new")
        assert await told.next() == {file}
        replaced(file, "newer")
        assert await told.next() == {file}


async def test_a_link_is_told_when_it_or_what_it_leads_to_changes(folder: Path, tmp_path: Path) -> None:
    file, target = folder / "config.toml", tmp_path / "dotfiles" / "mixer.toml"
    target.parent.mkdir()
    target.write_text("real")
    async with watching(file) as told:
        file.unlink()
        file.symlink_to(target)
        assert await told.next() == {file}
        replaced(target, "edited where it lives")
        assert await told.next() == {file}


async def test_a_folder_behind_a_link_is_watched(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder, target_is_directory=True)
    async with watching(link / "config.toml", link / "rules.toml") as told:
        (folder / "rules.toml").write_text("new")
        assert await told.next() == {link / "rules.toml"}


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_closing_gives_everything_back(folder: Path) -> None:
    before = open_files()
    async with watching(folder / "config.toml"):
        assert open_files() == before + 1
        (folder / "config.toml").write_text("told to nobody")
    assert open_files() == before


async def test_what_the_kernel_has_lost_is_looked_at_anew(tmp_path: Path) -> None:
    longest = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())  # noqa: ASYNC240 - nobody waits
    here, later = tmp_path / "config.toml", tmp_path / "later" / "rules.toml"
    one, other = tmp_path / "one", tmp_path / "other"
    one.touch()
    async with watching(here, later) as told:
        for _ in range(longest // 4 + 1):  # each is told as gone and come
            one.rename(other)
            other.rename(one)
        later.parent.mkdir()  # of which there is no word
        assert await told.next() == {here, later}
        later.write_text("[[rules]]")
        assert await told.next() == {later}


def test_who_has_no_descriptor_left_is_warned_and_goes_on_without(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            watch = Watch((folder / "config.toml",), lambda _: None)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        watch.close()

    asyncio.run(main())
    said = "changes of the configuration are not noticed (Too many open files); `pwmixerctl reload` reads it"
    assert caplog.messages == [said]


def test_who_may_watch_no_more_folders_is_warned_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> int:
        ctypes.set_errno(errno.ENOSPC)
        return -1

    async def main() -> None:
        watch = Watch((folder / "config.toml", folder.parent / "rules.toml"), lambda _: None)
        watch._libc = SimpleNamespace(inotify_add_watch=refuse, inotify_rm_watch=watch._libc.inotify_rm_watch)  # type: ignore[assignment]
        watch._aim()
        watch._aim()
        watch.close()

    asyncio.run(main())
    (said,) = caplog.messages
    assert "(No space left on device)" in said
