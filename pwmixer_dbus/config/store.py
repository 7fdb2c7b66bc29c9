"""The state file: when what is remembered is written. Whole at any moment, or set aside; never silently lost."""

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pwmixer_dbus.config.memory_text import VERSION, DamagedError, Lines, read_memory, text_of
from pwmixer_dbus.config.paths import state_home
from pwmixer_dbus.config.replacing import replace_file
from pwmixer_dbus.core.memory import Memory

log = logging.getLogger(__name__)

DELAY = 0.25
"""Seconds from a change to the write that saves it; the other half of the 500 ms that may be lost is for the disk."""

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds from a write that failed to the next attempt where nothing changes meanwhile; each is twice as long as the last."""

KEPT_ASIDE = 3
"""How many damaged files are kept; the oldest goes first."""

_UNSAVED = "what is learned now is not saved"


def state_path() -> Path:
    """Name the state file, whether it exists or not."""
    return state_home() / "pwmixer" / "state.json"


def pause_before(attempt: int) -> float:
    """Return how many seconds pass before what could not be saved is tried again, for the first time (0) or a later one."""
    return float(min(FIRST_PAUSE * 2 ** min(attempt, 10), LONGEST_PAUSE))


class StateFile:
    """Memory on the disk. `load` once, then `schedule` each new memory on the loop, or `expect` it, and `flush` at the end.

    What could not be saved is tried again with the next change, and without one after a pause; not after `flush`.

    Of two instances with one file, as on two session buses, the first one saves, and the other one says that it does not. It
    does once the first has ended, if that has saved nothing meanwhile. Whoever has flushed or handed over lets the next one
    be the first.

    `problem` is one sentence on why memory is not saved at the moment, "" when all is well. `on_problem` is called when
    that differs, on the loop's thread.
    """

    def __init__(
        self, path: Path, *, delay: float = DELAY, on_problem: Callable[[], None] = lambda: None
    ) -> None:
        # Through a link, so that a state file which lives elsewhere is not replaced by one that lives here.
        self._path = Path(os.path.realpath(path))
        self._hold = Hold(self._path.parent)
        self._known_as: tuple[int, int] | None = None
        self._delay = delay
        self._on_problem = on_problem
        self._lock, self._placing = threading.Lock(), threading.Lock()
        self._latest = self._tried = self._saved = Memory()
        self._lines: Lines = {}
        self._ask: Callable[[], bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changed_at: float | None = None
        self._attempts = 0
        self._is_over = False
        self._writing: asyncio.Future[str] | None = None
        self._is_foreign = False
        self._is_damaged = False
        self._is_given_up = False
        self.problem = ""

    def load(self) -> Memory:
        """Read the file. Where there is none, or none that can be used, the memory is empty; nothing is raised."""
        is_first = self._hold.take()
        self._known_as = self._looks()
        try:
            memory = self._load()
        except (FileNotFoundError, NotADirectoryError):
            memory = Memory()
        except OSError as error:
            # Perhaps it is a good one, so it must not be replaced.
            memory, self._is_foreign = Memory(), True
            self._tell(
                f"{self._path} cannot be read: {error.strerror}; {_UNSAVED}; mend that and start pwmixer again"
            )
        self._latest = self._tried = self._saved = memory
        if not is_first and not self.problem:
            self._tell(self._of_another)
        return memory

    @property
    def _of_another(self) -> str:
        return f"another pwmixer, as on another session bus, keeps {self._path}; {_UNSAVED}"

    def schedule(self, memory: Memory) -> None:
        """Save a memory soon: its write begins at most `delay` seconds after the first change that is not saved yet."""
        self._latest, self._is_over, self._is_given_up = memory, False, False
        if memory is not self._saved and not self._is_foreign:
            self._plan()

    def expect(self, ask: Callable[[], bool]) -> None:
        """Begin a write as soon as `schedule` would; `ask` is called right before it, to schedule what is to be saved.

        As long as it returns that there is more, it is called again, in a turn of the loop each.
        """
        if not self._is_foreign:
            self._ask, self._is_over = ask, False
            self._plan()

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        if self._changed_at is None:
            self._stop_timer()  # that of another attempt, which would come later
            self._changed_at, self._attempts = loop.time(), 0
        elif self._timer is not None:
            return
        # During a write that takes long, the time for what has changed meanwhile goes on.
        if self._writing is None:
            self._timer = loop.call_at(self._changed_at + self._delay, self._write_aside)

    def flush(self) -> None:
        """Save what is not saved yet, at once, and let another instance have the file; for the end of the service."""
        self._be_over()
        self._tell(self._write_latest())
        self._hold.leave()

    def hurry(self) -> None:
        """Begin at once to save as `flush` does; nobody waits for the disk, and another instance has the file after that."""
        self._be_over()
        if self._writing is None:
            self._write_aside()

    async def hand_over(self, longest: float) -> None:
        """Save as `flush` does, but give it up where that takes more than `longest` seconds: the file is another's then."""
        self.hurry()
        loop = asyncio.get_running_loop()
        until = loop.time() + longest
        while self._writing is not None and until > loop.time():
            await asyncio.wait((self._writing,), timeout=until - loop.time())
        with self._placing:
            self._is_given_up = self._writing is not None
        self._hold.leave()

    def has_saved(self, memory: Memory) -> bool:
        """Whether this is in the file, as far as is known."""
        return memory is self._saved and not self.problem

    def _be_over(self) -> None:
        while self._hear():
            pass
        self._stop_timer()
        self._changed_at, self._is_over = None, True

    def _hear(self) -> bool:
        """Have what is expected scheduled, or some of it; return whether there is more."""
        ask, self._ask = self._ask, None
        if ask is None or not ask():
            return False
        self._ask = ask
        return True

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _load(self) -> Memory:
        try:
            version, memory, dropped = read_memory(self._path)
        except DamagedError as error:
            log.warning("%s %s", self._path, error)
            self._is_damaged = True
            self._tell(self._attempt(self._set_aside))
            return Memory()
        if version > VERSION:
            self._is_foreign = True
            self._tell(f"{self._path} was written by a newer pwmixer (format {version}); {_UNSAVED}")
        if dropped:
            log.warning("%s: %d bad entries were left out, the rest is in use", self._path, dropped)
        return memory

    def _write_aside(self) -> None:
        """Write in a thread: to sync 300 kB to a disk takes 15 ms and more, and nobody's slider waits for that."""
        loop, is_more = asyncio.get_running_loop(), False
        try:
            is_more = self._hear()  # while there is a timer, so that what is scheduled sets no other one
        finally:
            self._timer = None
            if not is_more:
                self._changed_at = None
        if is_more:
            self._timer = loop.call_later(0, self._write_aside)
            return
        if self._latest is self._saved:
            return
        writing: asyncio.Future[str] = loop.create_future()
        writing.add_done_callback(self._written)
        try:
            threading.Thread(target=self._write_for, args=(loop, writing)).start()
        except RuntimeError:  # there can be no more of them
            self._write_for(loop, writing)
        self._writing = writing

    def _write_for(self, loop: asyncio.AbstractEventLoop, writing: "asyncio.Future[str]") -> None:
        """Write, in a thread that ends with that. By hand: an executor brings 0.1 MiB."""
        tell: Callable[[Any], None] = writing.set_result
        said: str | Exception
        try:
            said = self._write_latest()
        except Exception as error:  # noqa: BLE001 - it is for whoever waits
            tell, said = writing.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop is closed, and `flush` has the last word
            loop.call_soon_threadsafe(lambda: None if writing.done() else tell(said))

    def _written(self, writing: "asyncio.Future[str]") -> None:
        self._writing = None
        if self._is_given_up or writing.cancelled():
            return  # the latter: the loop is closing, and `flush` has the last word
        self._tell(writing.result())
        if self._is_over:
            if self._latest is not self._tried:
                self._write_aside()
            else:
                self._hold.leave()
            return
        if self._ask is not None:
            self._plan()
            return
        if self._latest is not self._tried:
            self.schedule(self._latest)
            return
        self._changed_at = None
        if self._latest is not self._saved and not self._is_foreign and self.problem != self._of_another:
            pause = pause_before(self._attempts)
            log.debug("%s is tried again in %g s", self._path, pause)
            self._timer = asyncio.get_running_loop().call_later(pause, self._write_aside)
            self._attempts += 1

    def _write_latest(self) -> str:
        """Save the latest memory, on any thread; return the problem with that."""
        with self._lock:
            self._tried = memory = self._latest
            if memory is self._saved or self._is_foreign:
                return self.problem
            others = self._others()
            if others:
                return others
            problem = self._attempt(lambda: self._replace(text_of(memory, self._lines)))
            if not problem:
                self._saved = memory
            return problem

    def _others(self) -> str:
        """Return the problem where another instance keeps the file, or has written it while we did not keep it."""
        was_ours = self._hold.is_ours
        if not self._hold.take():
            return self._of_another
        if was_ours or not self._hold.is_ours or self._looks() in {None, self._known_as}:
            return ""
        self._is_foreign = True
        self._hold.leave()
        return f"{self._path} was written by another pwmixer, as on another session bus; {_UNSAVED}; start pwmixer again"

    def _looks(self) -> tuple[int, int] | None:
        """Return what tells a file from one that replaces it; None where there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _attempt(self, step: Callable[[], None]) -> str:
        try:
            step()
        except OSError as error:
            what = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
            return f"{self._path} cannot be written: {what}; {_UNSAVED} until that is mended"
        return ""

    def _replace(self, text: str) -> None:
        if self._is_damaged:
            self._set_aside()
        replace_file(self._path, text, self._rename)
        self._known_as = self._looks()

    def _rename(self, temporary: Path, path: Path) -> None:
        with self._placing:
            if self._is_given_up:
                raise InterruptedError(errno.EINTR, "the file is another's by now")
            temporary.replace(path)
            self._hold.take()  # where the folder is new

    def _set_aside(self) -> None:
        """Rename a damaged file, so that a person may still mend it, and forget the oldest of those."""
        now = time.time_ns()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9))
        aside = self._path.with_name(f"{self._path.name}.corrupt-{stamp}.{now % 10**9:09}Z")
        try:
            self._path.rename(aside)
            log.warning("%s is kept as %s", self._path, aside.name)
        except FileNotFoundError:
            pass  # somebody has taken it away
        self._is_damaged = False
        # By a clock that was ahead, the others may be later ones.
        others = [each for each in self._path.parent.glob(f"{self._path.name}.corrupt-*") if each != aside]
        for old in sorted(others)[: 1 - KEPT_ASIDE]:
            if not old.is_dir():
                old.unlink(missing_ok=True)

    def _tell(self, problem: str) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        if problem:
            log.warning("%s", problem)
        else:
            log.info("%s is saved again", self._path)
        self._on_problem()


class Hold:
    """A lock on a folder, for one process at a time. It leaves nothing in the folder, and the kernel gives it back with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether nobody else can have it."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Return whether nobody else has it, as far as that can be known: some network file systems have no locks."""
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # it is not there yet, or cannot be opened
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            return not isinstance(error, BlockingIOError)
        self._descriptor = descriptor
        return True

    def leave(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
