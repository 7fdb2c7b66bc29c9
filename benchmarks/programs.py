"""The programs in C: what the service is compared with, and what measures without being measured."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from session import END_WITH_PARENT, SessionError

PEERS = Path(__file__).parent / "peers"
LIBRARIES = ("libpulse", "libsystemd")
LONGEST = 30.0


@contextmanager
def built() -> Iterator[Path]:
    """Build all of them, and give the folder that they are in; raises SessionError where that cannot be."""
    compiler = shutil.which("cc")
    if compiler is None or shutil.which("pkg-config") is None:
        raise SessionError("there is no C compiler or no pkg-config; `scripts/setup --bench` installs them")
    flags = shlex.split(_said("pkg-config", "--cflags", "--libs", *LIBRARIES))
    with tempfile.TemporaryDirectory(prefix="pwm-") as folder:
        for source in PEERS.glob("*.c"):
            _said(
                compiler, "-O2", "-o", str(Path(folder, source.stem)), str(source), "-Wl,--as-needed", *flags
            )
        yield Path(folder)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise SessionError(f"{command[0]} failed: {done.stderr.strip()}; `scripts/setup --bench` may help")
    return done.stdout


@dataclass(slots=True)
class Caller:
    """The client in C, so that what is timed is not the client; see benchmarks/peers/caller.c for what it can do."""

    process: asyncio.subprocess.Process
    words: asyncio.StreamWriter
    lines: asyncio.StreamReader

    @classmethod
    async def start(cls, folder: Path, env: Mapping[str, str]) -> Caller:
        """Start it in a session."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *END_WITH_PARENT, folder / "caller", stdin=pipe, stdout=pipe, env=env
        )
        if process.stdin is None or process.stdout is None:
            raise SessionError("the caller has no pipes")
        return cls(process, process.stdin, process.stdout)

    async def ask(self, *words: object, longest: float = LONGEST) -> list[float]:
        """Have one thing done; return its figures, microseconds or a count."""
        self.tell(*words)
        return await self.figures(*words, longest=longest)

    def tell(self, *words: object) -> None:
        """Have one thing done, without waiting for it."""
        self.words.write(f"{' '.join(map(str, words))}\n".encode())

    async def figures(self, *words: object, longest: float = LONGEST) -> list[float]:
        """Wait for the figures of what it has been told to do."""
        line = await self.line(longest)
        if not line or line.startswith("-"):
            raise SessionError(f"{' '.join(map(str, words))[:80]} failed: {line or 'the caller has ended'}")
        return [float(word) for word in line.split()]

    async def line(self, longest: float = LONGEST) -> str:
        """Wait for its next line."""
        return (await asyncio.wait_for(self.lines.readline(), longest)).decode().strip()

    async def end(self) -> None:
        """Let it end."""
        self.words.close()
        await self.process.wait()
