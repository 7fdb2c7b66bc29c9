"""The files of statistics: whole, ours alone, written after something has happened, and gone at the end."""

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from jumping import jumped
from test_mixer import Desk

from pwmixer_dbus.core.settings import StatisticsSettings
from pwmixer_dbus.core.statistics import HISTOGRAMS, prometheus
from pwmixer_dbus.outlets.stats import EVERY, SOON, StatisticsFiles
from pwmixer_dbus.system.diagnostics import statistics
from pwmixer_dbus.system.runtime import runtime_folder

BOTH = StatisticsSettings(file=True, prometheus=True)


def on_a_desk(test: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await test(Desk())

    jumped(main())


def modes(folder: Path) -> dict[str, int]:
    """Return the files in a folder with who may do what with them."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def events_told(folder: Path) -> int:
    """Return how many events the file tells of."""
    told = json.loads((folder / "stats").read_text())["counters"]["events"]
    assert isinstance(told, int)
    return told


def test_the_files_are_there_at_once_ours_alone_and_go_with_us(tmp_path: Path) -> None:
    async def main(desk: Desk) -> None:
        files = StatisticsFiles(desk.mixer, BOTH, tmp_path)
        assert modes(tmp_path) == {"stats": 0o600, "stats.prom": 0o600}
        assert set(json.loads((tmp_path / "stats").read_text())) == set(statistics(desk.mixer))
        assert "pwmixer_events_total 1\n" in (tmp_path / "stats.prom").read_text()
        files.close()
        assert modes(tmp_path) == {}

    on_a_desk(main)


def test_they_are_written_every_few_seconds_at_most_and_only_when_something_has_happened(
    tmp_path: Path,
) -> None:
    async def main(desk: Desk) -> None:
        files = StatisticsFiles(desk.mixer, StatisticsSettings(file=True), tmp_path)
        first, at_first = (tmp_path / "stats").stat().st_ino, events_told(tmp_path)
        await asyncio.sleep(60)
        assert (tmp_path / "stats").stat().st_ino == first
        desk.show(volume=0.1)
        await asyncio.sleep(SOON / 2)  # what follows from it is to be in it
        assert events_told(tmp_path) == at_first
        await asyncio.sleep(SOON / 2)
        assert events_told(tmp_path) == at_first + 1
        for step in range(1, 91):
            desk.show(volume=step / 100)
            await asyncio.sleep(EVERY / 100)
            assert events_told(tmp_path) == at_first + 1
        await asyncio.sleep(EVERY / 10)
        assert events_told(tmp_path) == at_first + 91
        files.close()

    on_a_desk(main)


def test_after_its_end_nothing_is_written_and_no_timer_is_left(tmp_path: Path) -> None:
    async def main(desk: Desk) -> None:
        files = StatisticsFiles(desk.mixer, BOTH, tmp_path)
        desk.show(volume=0.1)
        files.close()
        desk.show(volume=0.2)
        await asyncio.sleep(2 * EVERY)
        assert modes(tmp_path) == {}

    on_a_desk(main)


def test_the_files_of_whoever_came_after_us_stay(tmp_path: Path) -> None:
    async def main(desk: Desk) -> None:
        files, others = (StatisticsFiles(desk.mixer, BOTH, tmp_path) for _ in range(2))
        files.close()
        assert len(modes(tmp_path)) == 2
        others.close()
        assert modes(tmp_path) == {}

    on_a_desk(main)


def test_where_they_cannot_be_written_is_told_at_once_and_later_only_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(desk: Desk) -> None:
        with pytest.raises(FileNotFoundError):
            StatisticsFiles(desk.mixer, BOTH, tmp_path / "nowhere")
        folder = tmp_path / "folder"
        folder.mkdir()
        files = StatisticsFiles(desk.mixer, BOTH, folder)
        shutil.rmtree(folder)
        with caplog.at_level(logging.WARNING):
            for volume in (0.1, 0.2, 0.3):
                desk.show(volume=volume)
                await asyncio.sleep(EVERY)
        assert len(caplog.records) == 1
        folder.mkdir()
        desk.show(volume=0.4)
        await asyncio.sleep(EVERY)
        assert len(modes(folder)) == 2
        files.close()

    on_a_desk(main)


def test_the_text_for_prometheus_is_whole_and_agrees_with_the_document() -> None:
    async def main(desk: Desk) -> None:
        tally = desk.mixer.measures.counted()
        for delay in (0.000001, 0.003, 0.003, 100.0):
            tally.call_to_reply.add(delay)
        document = statistics(desk.mixer)
        lines = prometheus(document).splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        assert len(values) == len([line for line in lines if not line.startswith("#")])
        assert values['pwmixer_call_to_reply_seconds_bucket{le="1e-05"}'] == "1"
        assert values['pwmixer_call_to_reply_seconds_bucket{le="0.0025"}'] == "1"
        assert values['pwmixer_call_to_reply_seconds_bucket{le="0.004"}'] == "3"
        assert values['pwmixer_call_to_reply_seconds_bucket{le="10"}'] == "3"
        assert values['pwmixer_call_to_reply_seconds_bucket{le="+Inf"}'] == "4"
        assert values["pwmixer_call_to_reply_seconds_count"] == "4"
        assert float(values["pwmixer_call_to_reply_seconds_sum"]) == pytest.approx(100.006001)
        assert values['pwmixer_queue_depth{queue="commands"}'] == "0"
        assert float(values["pwmixer_memory_pss_bytes"]) > 1e6
        typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        helped = [line.split()[2] for line in lines if line.startswith("# HELP")]
        assert typed == helped
        assert len(set(typed)) == len(typed)
        assert {f"pwmixer_{name}_seconds" for name in HISTOGRAMS} <= set(typed)

    on_a_desk(main)


def test_the_folder_is_made_ours_or_refused(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folder = tmp_path / "pwmixer"
    assert runtime_folder(environment) == folder
    folder.chmod(0o755)
    assert runtime_folder(environment) == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OSError, match="is not a folder of ours"):
        runtime_folder(environment)
    with pytest.raises(OSError, match="XDG_RUNTIME_DIR is not set"):
        runtime_folder({})
