"""`meter` against the real service: numbers where it is piped, bars in a terminal."""

import math
import signal

import pytest
from cli_rig import run
from service import CTL, Service
from session import PATIENCE
from terminal import on_screen

from pwmixer_dbus.cli.meter import lines
from pwmixer_dbus.cli.render import Terminal, cells


def test_a_bar_is_sixty_decibels_long() -> None:
    drawn = lines(
        ["@sink", "app:x", "y", "z"], [1.0, 10**-1.5, 0.0, math.nan], Terminal(width=60, unicode=False)
    )
    assert [line.count("#") for line in drawn] == [40, 20, 0, 0]
    assert [line.split()[-2:] for line in drawn] == [
        ["0.0", "dB"],
        ["-30.0", "dB"],
        ["-inf", "dB"],
        ["not", "here"],
    ]
    assert len({len(line) for line in drawn}) == 1
    assert all(len(line) <= 60 for line in drawn)


def test_what_is_beyond_a_bar_stays_in_it_and_names_of_strangers_stay_in_their_place() -> None:
    (line,) = lines(["app:\x1b[2J" + "x" * 99], [8.0], Terminal(width=60, unicode=False))
    assert "\x1b" not in line
    assert len(line) <= 60


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_bar_is_one_line_which_is_drawn_over_however_wide_its_name_is(width: int) -> None:
    drawn = lines(["app:" + "日" * 40, "sink:" + "x" * 99], [1.0, 0.1], Terminal(width=width))
    assert len({cells(line) for line in drawn}) == 1
    assert cells(drawn[0]) <= width
    assert "…" in drawn[0]


def test_levels_are_printed_once_where_there_is_no_terminal(service: Service) -> None:
    service.session.play("Radio")
    service.wait_for_stream("Radio", device="speakers")
    # Where the machine is busy, half a second may be too short for the first sound.
    service.session.wait_for(
        lambda: run(service, "meter", "app:radio", "sink:headset").stdout == "0.0316 0.0000\n", "the tone"
    )
    assert run(service, "meter", "--once", "sink:headset").stdout == "0.0000\n"
    for words, status, sentence in (
        (("app:nobody",), 1, "Nothing is called"),
        (("--rate", "61"), 2, "from 1 to 60"),
    ):
        refused = run(service, "meter", *words)
        assert (refused.returncode, refused.stdout) == (status, "")
        assert sentence in refused.stderr


def test_bars_are_drawn_through_a_take_over_until_somebody_has_seen_enough(service: Service) -> None:
    service.session.play("Radio")
    service.wait_for_stream("Radio", device="speakers")
    heir = Service(service.session, "--replace", name="heir")
    with on_screen((*CTL, "meter"), service.session.env) as screen:
        try:
            screen.until("-30.0 dB")
            heir.start()
            screen.until("-inf dB")
            screen.until("-30.0 dB")  # the new one begins with silence
            screen.process.send_signal(signal.SIGINT)
            assert screen.process.wait(PATIENCE) == 0
            assert service.process.wait(PATIENCE) == 0
        finally:
            heir.stop()
