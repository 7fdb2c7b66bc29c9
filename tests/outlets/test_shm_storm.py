"""Readers in processes of their own, while everything changes without a pause; `scripts/soak storm` does it for longer."""

from pathlib import Path

import shm_dump
import shm_storm

READS = 4000
GENERATIONS = 60


def test_no_reader_sees_a_torn_or_a_stale_state_while_everything_changes() -> None:
    generation, found = shm_storm.storm(READS, GENERATIONS)
    assert len(found) == shm_storm.READERS
    for one in found:
        assert (one.torn, one.stale) == (0, 0), one.example
        assert one.wholes + one.looks >= READS / shm_storm.READERS
        assert generation >= one.generations >= GENERATIONS


def test_readers_would_see_it_if_the_lock_were_left_out() -> None:
    _, found = shm_storm.storm(READS, GENERATIONS, shm_storm.Unlocked)
    assert sum(one.torn for one in found) > 0


def test_nor_does_the_reader_for_c(tmp_path: Path) -> None:
    program = shm_dump.compiled(shm_dump.HERE / "shm_storm.c", tmp_path / "storm")
    check((str(program), str(READS), str(GENERATIONS)))


def test_nor_does_the_reader_for_gjs() -> None:
    check(("gjs", "-m", str(shm_dump.HERE / "shm_storm.js"), str(shm_dump.READERS), str(GENERATIONS)))


def check(command: tuple[str, ...]) -> None:
    """Let a program read in the storm; without the lock, it would see it."""
    _, states, torn, _ = map(int, shm_storm.storm_beside(command).split())
    assert (states >= GENERATIONS, torn) == (True, 0)
    _, _, torn, _ = map(int, shm_storm.storm_beside(command, shm_storm.Unlocked).split())
    assert torn > 0
