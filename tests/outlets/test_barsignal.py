"""The signal to waybar: real processes get it or live on without; when it is sent, on a loop whose clock jumps."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from jumping import jumped
from test_mixer import Desk, stream
from waybar_process import NUMBER, SIGNAL, waybar

from pwmixer_dbus.core.events import Configured, Disconnected, Gone, Seen, Snapshot
from pwmixer_dbus.core.model import Device, Kind, Server
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import BarSignalSettings
from pwmixer_dbus.outlets import barsignal
from pwmixer_dbus.outlets.barsignal import LOOK, SPACING, Bars, BarSignal

NOBODY = 65534


@pytest.fixture
def bars() -> Iterator[Bars]:
    bars = Bars(NUMBER)
    yield bars
    bars.close()


# --- which processes


def test_a_waybar_that_handles_it_is_told_each_time(bars: Bars, tmp_path: Path) -> None:
    with waybar(tmp_path) as one, waybar(tmp_path, name=".waybar-wrapped") as other:
        assert {one.pid, other.pid} <= set(bars.look())
        for _ in range(3):
            bars.tell()
            assert (one.said(), other.said()) == ("told", "told")
        assert not {one.pid, other.pid} & set(bars.look())


def test_a_waybar_that_does_not_handle_it_lives_on(bars: Bars, tmp_path: Path) -> None:
    with waybar(tmp_path, listens=False) as deaf:
        assert deaf.pid in bars.look()
        bars.tell()
        assert deaf.asked() == "asked"
        assert deaf.dies_of(SIGNAL)


def test_only_the_chosen_signal_counts(tmp_path: Path) -> None:
    other = Bars(NUMBER + 1)
    with waybar(tmp_path) as bar:
        other.look()
        other.tell()
        assert bar.asked() == "asked"
    other.close()


def test_what_is_called_otherwise_is_left_alone_though_it_handles_the_signal(
    bars: Bars, tmp_path: Path
) -> None:
    with waybar(tmp_path, name="waybard") as bar:
        assert bar.pid not in bars.look()
        assert not barsignal.handles(bar.pid, SIGNAL)
        # A program may call itself what it likes.
        assert bar.do("call yourself waybar") == "done"
        assert bar.pid in bars.look()
        bars.tell()
        assert bar.asked() == "asked"


def test_a_script_of_the_same_name_may_have_started_it(bars: Bars, tmp_path: Path) -> None:
    with waybar(tmp_path), waybar(tmp_path, name="waybard") as script:
        assert script.do("call yourself waybar") == "done"
        said = {script.do("start waybar"), script.said()}
        assert "ready" in said
        (pid,) = (int(word) for word in said if word.isdecimal())
        try:
            assert pid in bars.look()
            assert barsignal.handles(pid, SIGNAL)
        finally:
            os.kill(pid, signal.SIGKILL)


def test_where_no_program_may_be_looked_at_its_own_word_counts(
    bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> Path:
        raise PermissionError

    monkeypatch.setattr(Path, "readlink", refuse)
    with waybar(tmp_path) as bar, waybar(tmp_path, name="waybard") as other:
        assert other.do("call yourself waybar") == "done"
        bars.look()
        bars.tell()
        assert bar.said() == "told"
        assert other.asked() == "asked"


def test_the_waybar_of_another_user_is_left_alone(
    bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with waybar(tmp_path) as theirs:
        if os.geteuid() == 0:
            assert theirs.do("become nobody") == "done"
        else:
            monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
        bars.look()
        bars.tell()
        assert theirs.asked() == "asked"


def test_one_that_becomes_another_program_after_it_was_found_lives_on(bars: Bars, tmp_path: Path) -> None:
    with waybar(tmp_path) as bar:
        bars.look()
        bars.tell()
        assert bar.said() == "told"
        assert bar.do("exec") == "ready"
        bars.tell()
        assert bar.asked() == "asked"
        assert bar.dies_of(SIGNAL)


def test_what_waybar_starts_is_no_bar_while_it_is_still_a_copy(bars: Bars, tmp_path: Path) -> None:
    with waybar(tmp_path) as bar:
        copy = int(bar.do("fork"))
        try:
            bars.look()
            assert barsignal.handles(bar.pid, SIGNAL)
            assert not barsignal.handles(copy, SIGNAL)
        finally:
            os.kill(copy, signal.SIGKILL)


def test_one_that_has_gone_is_forgotten_and_its_descriptor_given_back(bars: Bars, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with waybar(tmp_path) as gone, waybar(tmp_path) as stays:
        bars.look()
        assert gone.dies_of(signal.SIGKILL)
        bars.tell()
        assert stays.said() == "told"
        bars.look()
        bars.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_number_that_another_process_has_now_leads_to_nobody_until_the_next_look(
    bars: Bars, tmp_path: Path
) -> None:
    with waybar(tmp_path) as gone, waybar(tmp_path) as reused:
        bars.look()
        assert gone.dies_of(signal.SIGKILL)
        # As if the one that lives had been given the number of the other.
        os.close(bars._found[reused.pid])
        bars._found[reused.pid] = bars._found.pop(gone.pid)
        bars.tell()
        assert reused.asked() == "asked"
        assert reused.pid in bars.look()
        bars.tell()
        assert reused.said() == "told"


def test_while_nothing_is_started_nobody_is_looked_for(
    bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = [b"7\n"]
    monkeypatch.setattr(barsignal, "_started_last", lambda: started[0])
    bars.look_again()
    with waybar(tmp_path) as bar:
        assert bars.look_again() == []
        started[0] = b"8\n"
        assert bar.pid in bars.look_again()
        started[0] = b""  # where the system does not say it
        assert bar.dies_of(signal.SIGKILL)
    with waybar(tmp_path) as later:
        assert later.pid in bars.look_again()


def test_whatever_is_started_is_told(tmp_path: Path) -> None:
    before = barsignal._started_last()
    with waybar(tmp_path):
        assert barsignal._started_last() != before


def refuse(number: int) -> Callable[..., Any]:
    """Stand in for a call of the kernel's that is not allowed, or fails otherwise."""

    def refused(*_: object) -> Any:
        raise OSError(number, os.strerror(number))

    return refused


def test_a_bar_that_may_not_be_signalled_for_now_is_no_bar_until_the_next_look(
    bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that has become another user's for a moment, which is no sign that it has gone."""
    with waybar(tmp_path) as bar:
        assert bar.pid in bars.look()
        with monkeypatch.context() as hardened:
            hardened.setattr(signal, "pidfd_send_signal", refuse(errno.EPERM))
            assert bar.pid not in bars.look()
            assert bar.pid in bars._found
            bars.tell()
            assert bar.pid not in bars._found
        assert bar.asked() == "asked"
        assert bar.pid in bars.look()
        bars.tell()
        assert bar.said() == "told"


def test_a_bar_for_which_there_is_no_descriptor_is_found_at_a_later_look(
    bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with waybar(tmp_path) as bar:
        with monkeypatch.context() as hardened:
            hardened.setattr(os, "pidfd_open", refuse(errno.EMFILE))
            assert bars.look() == []
            assert not bars.are_there
        assert bar.pid in bars.look()


def test_where_what_was_started_last_may_not_be_read_bars_are_found_all_the_same(
    bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", refuse(errno.EACCES))
    bars.look_again()
    with waybar(tmp_path) as bar:
        assert bar.pid in bars.look_again()


# --- when


class Ear:
    """Stands for the processes: notes when they were looked for and told."""

    def __init__(self, number: int) -> None:
        assert number == NUMBER
        self.loop = asyncio.get_running_loop()
        self.looked: list[float] = []
        self.told: list[tuple[float, str]] = []
        self.closed = False

    are_there = True

    def look_again(self) -> list[int]:
        self.looked.append(round(self.loop.time() - 1000, 3))
        return [1]

    def tell(self, pids: list[int] | None = None) -> None:
        self.told.append((round(self.loop.time() - 1000, 3), "all" if pids is None else "newcomers"))

    def close(self) -> None:
        self.closed = True


def on_a_desk(
    monkeypatch: pytest.MonkeyPatch, test: Callable[[Desk, BarSignal, Ear], Coroutine[Any, Any, None]]
) -> None:
    ears: list[Ear] = []

    def listen(number: int) -> Ear:
        ears.append(Ear(number))
        return ears[-1]

    async def main() -> None:
        desk = Desk()
        outlet = BarSignal(desk.mixer, BarSignalSettings(enabled=True, number=NUMBER))
        await test(desk, outlet, ears[0])
        outlet.close()
        assert ears[0].closed

    monkeypatch.setattr(barsignal, "Bars", listen)
    jumped(main())


def test_a_change_is_told_at_once_then_at_most_every_50_ms_and_the_last_one_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(desk: Desk, _outlet: BarSignal, ear: Ear) -> None:
        for step in range(1, 13):
            desk.show(volume=step / 100)
            await asyncio.sleep(0.01)
        await asyncio.sleep(SPACING)
        assert ear.told == [(0.0, "all"), (0.05, "all"), (0.1, "all"), (0.15, "all")]
        assert ear.looked == [0.0]

    on_a_desk(monkeypatch, main)


def test_bars_that_have_started_meanwhile_are_told_a_second_after_the_last_look_and_then_all_is_quiet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(desk: Desk, _outlet: BarSignal, ear: Ear) -> None:
        desk.show(volume=0.1)
        await asyncio.sleep(0.4)
        desk.show(volume=0.2)
        await asyncio.sleep(60)
        assert ear.told == [(0.0, "all"), (0.4, "all"), (LOOK, "newcomers")]
        assert ear.looked == [0.0, LOOK]
        desk.show(volume=0.3)
        await asyncio.sleep(60)
        assert ear.told[3:] == [(60.4, "all")]
        assert ear.looked[2:] == [60.4]

    on_a_desk(monkeypatch, main)


def test_while_there_is_nobody_a_bar_is_looked_for_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(desk: Desk, _outlet: BarSignal, ear: Ear) -> None:
        ear.are_there = False
        for step in range(1, 26):
            desk.show(volume=step / 100)
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        assert ear.looked == [0.0, LOOK, 2 * LOOK, 3 * LOOK]
        assert [when for when, _ in ear.told] == ear.looked

    on_a_desk(monkeypatch, main)


def test_what_no_bar_shows_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = Device(kind=Kind.SOURCE, index=9, name="sink1.monitor", monitor_of=1)

    async def main(desk: Desk, _outlet: BarSignal, ear: Ear) -> None:
        desk.show(state="running")
        for event in (
            Seen(record=monitor),
            Seen(record=replace(monitor, channels=(0.1,))),
            Gone(kind=Kind.SOURCE, index=9),
            Seen(record=stream(device=1, media_name="Another song")),
            Configured(settings=replace(desk.mixer.state.settings, step=0.1)),
        ):
            desk.mixer.on_event(event)
        await asyncio.sleep(SPACING)
        assert ear.told == []

    on_a_desk(monkeypatch, main)


@pytest.mark.parametrize(
    "event",
    [
        Seen(record=stream(device=1, volume=0.1)),
        Seen(record=stream(device=1, corked=True)),
        Seen(record=stream(11, device=1)),
        Seen(record=Server(default_sink="sink3", cookie=1)),
        Gone(kind=Kind.PLAYBACK, index=10),
        Gone(kind=Kind.SINK, index=1),
        Disconnected(reason="it has gone"),
        Snapshot(server=Server(cookie=2)),
    ],
)
def test_what_a_bar_shows_is_told(monkeypatch: pytest.MonkeyPatch, event: Any) -> None:
    async def main(desk: Desk, _outlet: BarSignal, ear: Ear) -> None:
        desk.mixer.on_event(event)
        await asyncio.sleep(SPACING)
        assert ear.told == [(0.0, "all")]

    on_a_desk(monkeypatch, main)


def test_after_its_end_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(desk: Desk, outlet: BarSignal, ear: Ear) -> None:
        desk.show(volume=0.1)
        outlet.close()
        desk.show(volume=0.2)
        await asyncio.sleep(2 * LOOK)
        assert ear.told == []

    on_a_desk(monkeypatch, main)
