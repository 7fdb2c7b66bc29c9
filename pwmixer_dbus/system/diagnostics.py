"""What is measured, brought together with what the system says of this process. Imported when somebody looks."""

import contextlib
import re
import time
from json import JSONEncoder
from pathlib import Path

from pwmixer_dbus.core.statistics import Statistics, describe, traced
from pwmixer_dbus.mixer import Mixer

_SIZES = {"Pss": "memory_pss_bytes", "Private_Dirty": "memory_private_dirty_bytes", "Rss": "memory_rss_bytes"}
_LINE = re.compile(r"^(Pss|Private_Dirty|Rss): +(\d+) kB", re.MULTILINE)


def statistics(mixer: Mixer) -> Statistics:
    """Return all that is measured."""
    return describe(mixer.measures, mixer.state, _usage())


def trace(mixer: Mixer, since: int) -> str:
    """Return the events that are kept, from a number on, as a JSON array; times are by the wall clock as it is now."""
    offset = time.time() - mixer.measures.clock()
    text, write = bytearray(), JSONEncoder(ensure_ascii=False).encode
    # One after the other: thousands of dictionaries or texts at a time would leave memory in pieces, a megabyte for good.
    for event in mixer.measures.counted().events(since):
        text += b", " if text else b""
        text += write(traced(event, mixer.state, offset)).encode()
    return f"[{text.decode()}]"


def _usage() -> dict[str, float]:
    """Return processor time in seconds and memory in bytes, 0 where the kernel does not tell; costs half a millisecond."""
    text = ""
    with contextlib.suppress(OSError):
        text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    sizes = {name: 1024 * int(size) for name, size in _LINE.findall(text)}
    return {
        "cpu_seconds": round(time.process_time(), 6),
        **{_SIZES[name]: sizes.get(name, 0) for name in _SIZES},
    }
