"""Readers in processes of their own, while everything changes without a pause; `scripts/shm_storm.py` does it for longer."""

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
