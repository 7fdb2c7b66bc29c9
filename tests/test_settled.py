"""What is given back when the start is over are pages that can be had again, and nothing else."""

import marshal
import re
import sys
from pathlib import Path

import pytest
from session import completed

from pwmixer_dbus.startup.settled import _expressions, read_only_files

FIELDS = "Size: 8 kB\nRss: 8 kB\nPrivate_Dirty: 0 kB\nAnonymous: {} kB\nVmFlags: rd mr\n"
SMAPS = "".join(
    f"{line}\n{FIELDS.format(own)}"
    for line, own in (
        ("00001000-00002000 r--p 00000000 08:01 11  /usr/lib/libpulse.so.0", 0),
        ("00002000-00004000 r-xp 00001000 08:01 11  /usr/lib/libpulse.so.0", 0),
        (
            "00004000-00005000 r--p 00003000 08:01 11  /usr/lib/libpulse.so.0",
            4,
        ),  # relocated, then made read-only
        ("00005000-00006000 rw-p 00004000 08:01 11  /usr/lib/libpulse.so.0", 0),
        ("00006000-00007000 r-xp 00000000 08:01 12  /usr/lib/with a name (deleted)", 0),
        ("00007000-00008000 r--s 00000000 00:01 13  /dev/shm/pwmixer-0", 0),
        ("00008000-00009000 rw-p 00000000 00:00 0  [heap]", 0),
        ("00009000-0000a000 r--p 00000000 00:00 0  [vvar]", 0),
        ("0000a000-0000b000 r--p 00000000 00:00 0", 0),
    )
)


def test_only_what_is_mapped_from_a_file_and_unchanged_is_found() -> None:
    assert list(read_only_files(SMAPS)) == [(0x1000, 0x2000), (0x2000, 0x4000), (0x6000, 0x7000)]


def test_a_process_finds_the_programs_that_it_runs() -> None:
    assert len(list(read_only_files(Path("/proc/self/smaps").read_text(encoding="utf-8")))) > 10


GROWING = """
from pwmixer_dbus.startup.settled import settle
def heap():
    return next(line.split()[0] for line in open("/proc/self/maps") if line.endswith("[heap]\\n"))
later = []
settle(later.append)
for do in later:
    do()
before = heap()
large = bytearray(8 << 20)
del large
many = [bytearray(1 << 20) for _ in range(8)]
print(before == heap(), len(later))
"""


THREAD = """
import re, threading
from pwmixer_dbus.startup.settled import settle
settle(lambda do: do())
many = []
thread = threading.Thread(target=lambda: many.extend(bytearray(1000) for _ in range(10)))
thread.start()
thread.join()
reserved = re.findall("^([0-9a-f]+)-([0-9a-f]+) ---p", open("/proc/self/maps").read(), re.MULTILINE)
print(any(32 << 20 < int(end, 16) - int(start, 16) < 64 << 20 for start, end in reserved))
"""
"""Of the 64 MiB that malloc reserves for the heap of a thread, what is not used yet can be neither read nor written."""


def test_what_is_large_and_given_up_does_not_stay_after_a_larger_one_has_been() -> None:
    assert said_by(GROWING) == ["True 1", "False 0"]


def test_a_thread_has_no_heap_of_its_own() -> None:
    assert said_by(THREAD) == ["False", "True"]


def said_by(program: str) -> list[str]:
    """Return what a program prints where the start clears up, and with PWMIXER_PLAIN=1."""
    return [
        completed(sys.executable, "-c", program, env={"PWMIXER_PLAIN": plain}, check=True).stdout.strip()
        for plain in ("0", "1")
    ]


class Number(int):
    """A number of a kind of its own."""


class Text(str):
    """A text of a kind of its own."""

    __slots__ = ()


def test_what_the_writer_is_told_of_expressions_can_be_told_whatever_is_among_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the flags that Python has from 3.13 on where there are none, nothing was written, and the journal had a traceback."""
    text = Text("b")
    cache = {(str, "a", Number(0)): None, (bytes, b"a", 8): None, (Text, text, 0): None}
    monkeypatch.setattr(re, "_cache", cache, raising=False)
    assert marshal.loads(marshal.dumps(_expressions())) == [("a", 0), (b"a", 8)]  # noqa: S302 - our own


def test_split_without_flags_can_be_told() -> None:
    assert re.split("an/expression/of/no/other", "") == [""]
    told = marshal.loads(marshal.dumps(_expressions()))  # noqa: S302 - our own
    assert ("an/expression/of/no/other", 0) in told
