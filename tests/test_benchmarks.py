"""The benchmark's pure half: figures, comparisons, targets, pictures and documents. That it runs at all, `scripts/bench --short` tells."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as door
from benchmarks import compare, plots, publish, record, rig, targets
from benchmarks.figures import Line, lines, table
from benchmarks.metrics.code import by_part
from benchmarks.metrics.signals import spans
from pwmixer_dbus import __version__

DOCS = Path(__file__).parents[1] / "docs"
DELAYS = {"a service in C": [1.0, 1.1, 1.2, 1.1] * 30, "pwmixer": [2.0, 2.3, 2.2, 2.1] * 30}


def run(*found: Line, version: str = "1.0") -> record.Run:
    return record.Run(
        version=version,
        date="2026-01-31",
        machine={"architecture": "x86_64", "processor": "A processor", "processors": 2, "kernel": "6.1"},
        versions={"python": "3.11.2", "pipewire": "1.4.2", "wireplumber": "0.5.8"},
        load=(0.1, 1.5),
        lines=found,
    )


def scaled(found: list[Line], factor: float, *, only: str = "") -> list[Line]:
    return [replace(line, p50=line.p50 * factor) if line.what == only or not only else line for line in found]


def test_a_line_has_the_median_the_percentile_the_most_and_the_ratio_to_the_first() -> None:
    limit, ours = lines("set", "ms", DELAYS)
    assert limit.p50 == pytest.approx(1.1)
    assert (limit.n, limit.most, limit.ratio) == (120, 1.2, 1.0)
    assert ours.p99 == pytest.approx(2.3)
    assert ours.ratio == pytest.approx(2.15 / 1.1)
    assert ours.name == "set: pwmixer"
    assert lines("set", "ms", {"few": [1.0, 2.0]})[0].p99 is None
    assert lines("set", "ms", {"none": []}) == []


def test_a_median_of_many_is_less_in_doubt_than_one_of_few() -> None:
    (few,) = lines("set", "ms", {"few": [1.0, 2.0, 3.0, 4.0]})
    (many,) = lines("set", "ms", {"many": [1.0, 2.0, 3.0, 4.0] * 100})
    assert few.noise is not None
    assert many.noise is not None
    assert few.noise > 5 * many.noise > 0
    assert lines("memory", "MiB", {"one": [12.0]})[0].noise is None


def test_the_table_names_each_benchmark_once() -> None:
    text = table(lines("set", "ms", DELAYS))
    assert text.count("set ") == 1
    assert "2.15 ms" in text
    assert "1.95x" in text


def test_a_slower_machine_is_no_regression_but_a_slower_service_beside_its_peer_is() -> None:
    found = lines("set", "ms", DELAYS)
    old, same, dearer = run(*found), run(*scaled(found, 3.0)), run(*scaled(found, 1.5, only="pwmixer"))
    assert compare.judged(found[1], same.lines[1], found[0], same.lines[0])[1] is False
    times, is_beyond = compare.judged(found[1], dearer.lines[1], found[0], dearer.lines[0])
    assert is_beyond
    assert times == pytest.approx(1.5)
    assert "<\n" not in compare.comparison(old, same)
    told = next(line for line in compare.comparison(old, dearer).splitlines() if "set: pwmixer" in line)
    assert told.endswith("1.50x         1.50x <")


def test_more_signals_a_second_are_cheaper_and_nothing_from_nothing_is_no_change() -> None:
    rates = lines("rate", "k/s", {"sd-bus in C": [90.0], "pwmixer's connection": [40.0]})
    old, new = run(*rates), run(rates[0], replace(rates[1], p50=60.0))
    assert compare.comparison(old, new).splitlines()[2].endswith(">")
    nothing = lines("growth", "B", {"by a notice": [0.0]})
    assert "<" not in compare.comparison(run(*nothing), run(*nothing)).splitlines()[1]
    grown = run(*lines("growth", "B", {"by a notice": [148.0]}))
    assert compare.comparison(run(*nothing), grown).splitlines()[1].endswith("<")


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    written = run(*lines("set", "ms", {"pwmixer": [2.0]}))
    file.write_text(record.written(written))
    assert record.read(file) == written
    for text in (
        "",
        "[]",
        "{}",
        '{"schema": 1}',
        record.written(written).replace('"schema": 1', '"schema": 99'),
    ):
        file.write_text(text)
        with pytest.raises(record.RecordError):
            record.read(file)


def test_what_is_measured_again_takes_the_place_of_what_was_before() -> None:
    before = run(*lines("set", "ms", DELAYS), *lines("look", "ms", {"Get": [0.3]}))
    again = run(*lines("set", "ms", {"pwmixer": [1.5]}), *lines("new", "ms", {"first": [1.0]}), version="1.1")
    both = record.joined(before, again)
    assert [line.name for line in both.lines] == ["set: pwmixer", "look: Get", "new: first"]
    assert both.by_name()["set: pwmixer"].p50 == 1.5
    assert both.version == "1.1"


def test_a_target_is_met_or_says_by_what_it_is_missed() -> None:
    target = targets.Target(
        metric="a call", ours="set: pwmixer", peer="set: a service in C", times=2.0, most=2.5, p99=2.25
    )
    found = {line.name: line for line in lines("set", "ms", DELAYS)}
    assert targets.missed(target, found) == ["p99 2.3 ms"]
    assert targets.missed(replace(target, p99=None), found) == []
    assert targets.missed(replace(target, times=1.5, p99=None), found) == ["1.95 x"]
    faster = replace(target, p99=None, faster={"set: a service in C": 2})
    assert targets.missed(faster, found) == ["0.5 x faster than a service in C"]


def test_the_limit_in_python_stands_beside_the_one_in_c_of_the_same_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = targets.Target(
        metric="a call", ours="set: pwmixer", peer="set: a service in C", plain="set: plain Python", times=3.0
    )
    monkeypatch.setattr(targets, "TARGETS", (target,))
    beside = {"plain Python": [1.5], "a service in C, beside plain Python": [1.0]}
    row = targets.markdown(run(*lines("set", "ms", DELAYS | beside))).splitlines()[2]
    assert row == "| a call | 1.1 ms | 1.5 ms, 1.50 x | <= 3 x | 2.15 [2.3] ms | 1.95 x | yes |"
    alone = targets.markdown(run(*lines("set", "ms", DELAYS | {"plain Python": [1.65]}))).splitlines()[2]
    assert "| 1.65 ms, 1.50 x |" in alone
    assert "| 1.1 ms | - |" in targets.markdown(run(*lines("set", "ms", DELAYS)))
    without = targets.markdown(run(*lines("set", "ms", {"pwmixer": [2.0]}))).splitlines()[2]
    assert without == "| a call | - | - | <= 3 x | 2 ms | - | - |"
    assert not any(compare.is_ours(line) for line in lines("set", "ms", beside))


def test_rounds_are_parted_into_turns_without_losing_any() -> None:
    for rounds in (1, 20, 200, 1000, 1001):
        assert [turn for block in rig.blocks(rounds) for turn in block] == list(range(rounds))


def test_pictures_are_xml_and_show_what_there_is() -> None:
    found = lines("set", "ms", {**DELAYS, "<pactl> & co": [20.0]})
    found += lines("storm: one slider", "%", {"a service in C": [3.0], "pwmixer": [7.0]})
    found += lines("memory: own", "MiB", {"pwmixer": [12.0]})
    found += lines("set", "ms", {"plain Python": [1.5], "a service in C, beside plain Python": [1.0]})
    for what, cost in (("SetVolume, in C", 0.7), ("SetVolume, in Python", 0.9), ("SetVolume", 1.0)):
        found += lines(f"{what} by streams", "ms", {"1": [cost], "10": [cost + 0.1], "100": [cost]})
    drawn = plots.pictures(run(*found))
    assert set(drawn) == {"delays.svg", "storms.svg", "memory.svg", "streams.svg"}
    for picture in drawn.values():
        ET.fromstring(picture)  # noqa: S314 - our own
    assert "&lt;pactl&gt; &amp; co" in drawn["delays.svg"]
    assert "plain Python" in drawn["delays.svg"]
    assert "beside plain Python" not in drawn["delays.svg"]
    assert drawn["streams.svg"].count("<circle") == 9
    assert len(set(re.findall(r'<polyline .*stroke="(.*?)"', drawn["streams.svg"]))) == 1
    assert len(set(re.findall(r'stroke-dasharray="(.*?)"', drawn["streams.svg"]))) == 2


def test_what_a_notice_led_to_is_read_from_the_trace() -> None:
    def event(at: float, what: str, name: str = "stream:1") -> dict[str, object]:
        return {"time": at, "what": what, "object": name}

    found = spans(
        [
            event(1.000, "notice"),
            event(1.000, "notice", "client:9"),
            event(1.002, "signal"),
            event(1.003, "changed"),
            event(1.004, "fetched"),
            event(2.000, "notice"),
            event(2.001, "fetched"),  # it was as before
            event(3.000, "notice"),
            event(3.001, "changed"),
            event(3.002, "fetched"),
            event(3.004, "signal"),  # later, since there has just been one
        ]
    )
    assert found["notice to signal sent"] == [pytest.approx(2.0), pytest.approx(4.0)]
    assert found["notice to state"] == [pytest.approx(1.0)]


# What is published


def test_a_version_has_one_row_in_the_history() -> None:
    found = lines("look", "ms", {"a service in C": [0.1], "Get": [0.15]})
    first = publish.with_row(None, run(*found, version="0.9"))
    both = publish.with_row(publish.with_row(first, run(version="1.0")), run(*found, version="1.0"))
    assert [row["version"] for row in both["releases"]] == ["0.9", "1.0"]
    assert set(both["releases"][1]["lines"]) == {"look: a service in C", "look: Get"}


def test_what_is_published_is_the_same_when_it_is_made_of_its_document(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"{publish.BEGIN}{publish.END}")
    (line,) = lines("busy", "ms", {"SetVolume": [1.26504]})
    publish.publish(run(line), tmp_path)
    latest = record.read(tmp_path / "performance" / publish.LATEST)
    assert "1.26 ms" in page.read_text()
    assert publish.with_table(page.read_text(), latest) == page.read_text()


def test_what_an_operation_executes_is_told_by_its_parts() -> None:
    functions = {
        "/x/pwmixer_dbus/core/state.py:1:apply": (2, 60, 20),
        "/y/asyncio/events.py:7:Handle._run": (1, 40, 40),
    }
    parts = by_part(functions | {"<string>:1:__eq__": (1, 0, 0)})
    assert parts == {"all": [100], "core": [60], "asyncio": [40], "records": [0]}
    found = [
        *lines("code: Get", "opcodes", parts),
        *lines(targets.CALLS, "", {"Get": [4.0]}),
        *lines(targets.DIFFERENT, "", {"Get": [60.0]}),
    ]
    page = f"{publish.PROFILE}old{publish.END}"
    assert (
        publish.with_table(page, run(*found)).splitlines()[3]
        == "| Get | 4 | 100 | 60 | - | core 60 %, asyncio 40 % |"
    )
    found += lines(targets.PLAINLY, "", {"Get": [30.0]}) + lines(
        targets.PLAINLY_DIFFERENT, "", {"Get": [20.0]}
    )
    assert "| 60 | 30, 20 | core" in publish.with_table(page, run(*found))


def test_this_version_has_its_row_in_the_history() -> None:
    history = json.loads((DOCS / "performance" / publish.HISTORY).read_text())
    assert history["schema"] == record.SCHEMA
    versions = [row["version"] for row in history["releases"]]
    assert __version__ in versions, "run scripts/bench on a quiet machine before a release"
    assert len(set(versions)) == len(versions)
    for row in history["releases"]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"])
        for figures in row["lines"].values():
            assert set(figures) == {"p50", "p99", "unit"}


def test_the_published_run_has_every_target_and_its_table_is_in_the_documentation() -> None:
    latest = record.read(DOCS / "performance" / publish.LATEST)
    names = set(latest.by_name())
    for target in targets.TARGETS:
        assert {target.ours, *target.faster} <= names
    peers = {peer for target in targets.TARGETS for peer in (target.peer, target.plain) if peer}
    assert peers <= names
    page = (DOCS / "performance.md").read_text()
    assert publish.with_table(page, latest) == page
    for picture in plots.pictures(latest):
        assert (DOCS / "performance" / picture).is_file()
        assert f"performance/{picture})" in page


STEPS = (
    "and asyncio",
    "and json, logging, pathlib, tomllib",
    "and libpulse",
    "and pulsectl-asyncio, connected",
    "and dbus-fast, connected",
    "and our modules",
)


@pytest.mark.parametrize(
    "sentence",
    [
        "has {busy: a service in C .1} ms for a SetVolume during 1000 notices a second",
        "(1.6 in the run before), and plain Python {busy: plain Python .1}, where 1 ms is the target",
        "a call that needs no server, to C | 1.5 | 1.43 | 1.40 | 1.42 | {look: Get x2} |",
        "SetVolume, to C | 1.7 | 1.54 | 1.71 | 1.51 | {set-volume: SetVolume x2} |",
        "a storm, to C | 2.5 | 3.52 | 3.24 | 3.18 | {storm: notices of many streams: pwmixer x2} |",
        "of `pactl`'s {set-volume: pactl .1} ms",
        "{first-call: first Describe, 95th percentile .0} ms (median {first-call: first Describe .0})",
        "{first-call: without a sound server, 95th percentile .0} ms ({first-call: without a sound server .0})",
        *(
            f"| {step} | {{floor: own: {step} .1}} MiB | {{floor: own: {step}, as ours .1}} MiB |"
            for step in STEPS
        ),
        "listed 50 streams | | {floor: own: the service, listed .1} MiB |",
        "it has {memory: own: pwmixer .1}, and {memory: resident: pwmixer .1} are resident",
        "{take-over: longest time without an answer .0} ms with fifty streams",
    ],
)
def test_a_figure_in_the_text_is_that_of_the_published_run(sentence: str) -> None:
    """A place is the name of a line and how many digits of its median, or after an x of its ratio, stand there."""
    known = record.read(DOCS / "performance" / publish.LATEST).by_name()

    def figure(place: re.Match[str]) -> str:
        line = known[place[1]]
        return f"{line.ratio if place[2] == 'x' else line.p50:.{place[3]}f}"

    text = " ".join((DOCS / page).read_text() for page in ("performance.md", "service.md"))
    assert re.sub(r"\{([^{}]+) (.)(\d)\}", figure, sentence) in " ".join(text.split())


@pytest.mark.parametrize("words", [["--short"], ["volumes-that-are-not-there"], ["--with", "new.json"], []])
def test_a_run_is_published_only_where_it_is_whole_or_asked_for(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[record.Run] = []
    monkeypatch.chdir(tmp_path)
    Path("new.json").write_text(record.written(run()))
    monkeypatch.setattr(door, "publish", written.append)
    monkeypatch.setattr(door, "measured", lambda _: (run(), []))
    monkeypatch.setattr("sys.argv", ["bench", *words])
    if words == ["volumes-that-are-not-there"]:
        with pytest.raises(SystemExit):
            door.main()
        assert "there is no benchmark volumes-that-are-not-there" in capsys.readouterr().err
        return
    assert door.main() == 0
    assert len(written) == (not words)


def test_some_lines_measured_again_are_published_among_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[record.Run] = []
    (before,), (again,) = lines("set", "ms", {"pwmixer": [1.0]}), lines("get", "ms", {"pwmixer": [2.0]})
    monkeypatch.setattr(door, "publish", written.append)
    monkeypatch.setattr(door, "read", lambda _: run(before))
    monkeypatch.setattr(door, "measured", lambda _: (run(again), []))
    monkeypatch.setattr("sys.argv", ["bench", "growth", "--publish"])
    assert door.main() == 0
    assert set(written[0].by_name()) == {before.name, again.name}


@pytest.mark.parametrize("error", [ProcessLookupError("gone"), TimeoutError()])
def test_a_benchmark_that_fails_does_not_take_the_others_along(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lines("start", "ms", {"pwmixer": [1.0]})

    async def fail(_: rig.Length) -> list[Line]:
        raise error

    async def succeed(_: rig.Length) -> list[Line]:
        return found

    monkeypatch.setattr(door, "ALONE", {"one": fail, "other": succeed})
    measured, failures = asyncio.run(door.measure(["one", "other"], rig.SHORT))
    assert measured == found
    assert [failure.partition(":")[0] for failure in failures] == ["one"]
