"""What is done once when the start is over and nobody waits: collect garbage, give pages back, prepare the next start."""

import asyncio
import ctypes
import gc
import logging
import marshal
import mmap
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pwmixer_dbus.startup import bundle

log = logging.getLogger("pwmixer")

_M_MMAP_THRESHOLD, _LARGE = -3, 128 * 1024
"""From how many bytes on what is allocated is given back as a whole; mallopt(3) has it grow with the largest, unless it is set."""

_M_ARENA_MAX = -8
"""How many heaps malloc has: a thread would get one of its own, though it has the interpreter lock whenever it allocates."""

_READ_ONLY_FILE = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [^\n]* /[^\n]*\n"
    r"(?:[A-Z][^\n]*\n)*?"  # a field in a line, up to the one that counts pages of our own, which are not in the file
    r"Anonymous: +0 kB",
    re.MULTILINE,
)


def settle(later: Callable[[Callable[[], None]], object]) -> None:
    """Clear up; with PWMIXER_PLAIN=1 in the environment, for the garbage collector only.

    That takes 9 ms. The rest, 4 ms, is given to `later`, so that whoever has come meanwhile has his turn between the two.
    """
    gc.collect()
    gc.freeze()  # what is there now stays, and not to look at it again makes every later collection short
    gc.enable()
    if os.environ.get("PWMIXER_PLAIN") != "1":
        later(_give_pages_back)


def write_bundle() -> None:
    """Have the byte code of the service written into its file by another process, where the start has not found it as it should be."""
    finder = next((finder for finder in sys.meta_path if isinstance(finder, bundle.Finder)), None)
    if finder is None:
        return
    learned = finder.learned()
    if not finder.problem:
        return
    log.debug("the byte code is not in one file, or not all of it: %s", finder.problem)
    if not finder.folder or not _is_writable(Path(finder.folder)):
        return
    try:
        end = os.pidfd_open(process := _writer(marshal.dumps((*learned, _expressions()))))
    except OSError as error:
        log.debug("it cannot be written: %s", error)
        return
    loop = asyncio.get_running_loop()

    def clear_away() -> None:
        loop.remove_reader(end)
        os.close(end)
        _, status = os.waitpid(process, 0)
        if status:
            log.debug("it could not be written")
            return
        # What is loaded from now on comes from there, whatever becomes of its source.
        written = bundle.Finder(finder.folder)
        written.learned()
        sys.meta_path.insert(0, written)
        log.debug("the byte code has been written into one file")

    loop.add_reader(end, clear_away)


def _expressions() -> list[tuple[str | bytes, int]]:
    """List the regular expressions that have been compiled up to now, each with its flags.

    From Python 3.13 on, no flags are a number of a kind of its own, which `marshal` does not take.
    """
    cache: Iterable[tuple[type, str | bytes, int]] = getattr(re, "_cache", ())
    return [(pattern, int(flags)) for kind, pattern, flags in cache if kind in (str, bytes)]


def _writer(learned: bytes) -> int:
    """Start the process that writes; return its number."""
    source = os.memfd_create("learned", os.MFD_CLOEXEC)
    try:
        os.pwrite(source, learned, 0)
        ends = (os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
        return os.posix_spawn(sys.executable, bundle.writer(), os.environ, file_actions=ends)
    finally:
        os.close(source)


def _is_writable(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if os.access(place, os.F_OK))
    return os.access(there, os.W_OK)


def read_only_files(smaps: str) -> Iterator[tuple[int, int]]:
    """Find the addresses, from and to, of what is mapped from files and is as it is there; `smaps` is that of proc(5)."""
    for found in _READ_ONLY_FILE.finditer(smaps):
        yield int(found[1], 16), int(found[2], 16)


def _give_pages_back() -> None:
    """Forget all pages that can be had again: who needs one gets it from the kernel, which has kept it."""
    libc = ctypes.PyDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    try:
        smaps = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # a kernel without it: nothing is lost but memory
        return
    for start, end in read_only_files(smaps):
        libc.madvise(start, end - start, mmap.MADV_DONTNEED)
