"""What is done once when the start is over and nobody waits: garbage, and pages of libraries that only the start has read."""

import ctypes
import gc
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

_READ_ONLY_FILE = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [^\n]* /[^\n]*\n"
    r"(?:[A-Z][^\n]*\n)*?"  # a field in a line, up to the one that counts pages of our own, which are not in the file
    r"Anonymous: +0 kB",
    re.MULTILINE,
)


def settle() -> None:
    """Clear up; with PWMIXER_PLAIN=1 in the environment, for the garbage collector only."""
    gc.collect()
    gc.freeze()  # what is there now stays, and not to look at it again makes every later collection short
    gc.enable()
    if os.environ.get("PWMIXER_PLAIN") != "1":
        _give_pages_back()


def read_only_files(smaps: str) -> Iterator[tuple[int, int]]:
    """Find the addresses, from and to, of what is mapped from files and is as it is there; `smaps` is that of proc(5)."""
    for found in _READ_ONLY_FILE.finditer(smaps):
        yield int(found[1], 16), int(found[2], 16)


def _give_pages_back() -> None:
    """Forget all pages that can be had again: who needs one gets it from the kernel, which has kept it."""
    libc = ctypes.PyDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    try:
        smaps = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # a kernel without it: there is nothing that must be done
        return
    for start, end in read_only_files(smaps):
        libc.madvise(start, end - start, mmap.MADV_DONTNEED)
