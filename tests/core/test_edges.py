"""Rare inputs that went wrong once: names that differ in case only, limits of several streams at once, and the like."""

import pytest
from build import app, card, no_parents, playback, sink, state_of

from pwmixer_dbus.core import verbs
from pwmixer_dbus.core.commands import SetPort, SetVolume
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.model import TEXT_LIMIT, Kind, Port
from pwmixer_dbus.core.selectors import resolve, selector_of


@pytest.mark.parametrize("name", ["Usb", "usb"])
def test_names_that_differ_in_case_only_are_told_apart(name: str) -> None:
    state = state_of(sink(1, "Usb"), sink(3, "usb"))
    (found,) = resolve(state, f"sink:{name}", no_parents)
    assert selector_of(found) == f"sink:{name}"


@pytest.mark.parametrize("target", [sink(name="x" * TEXT_LIMIT), card(name="x" * TEXT_LIMIT)])
def test_the_longest_name_can_be_selected(target: object) -> None:
    state = state_of(sink(name="x" * TEXT_LIMIT), card(name="x" * TEXT_LIMIT))
    assert resolve(state, selector_of(target), no_parents) == (target,)  # type: ignore[arg-type]


@pytest.mark.parametrize("delta", [0.05, -0.05])
def test_no_stream_of_an_application_is_raised_above_the_limit_because_another_is(delta: float) -> None:
    state = state_of(playback(10, volume=1.3), playback(11, volume=0.5))
    plan = verbs.adjust_volume(state, {}, app(state), delta)
    quiet = next(c for c in plan.commands if c.key == (Kind.PLAYBACK, 11))
    assert isinstance(quiet, SetVolume)
    assert max(quiet.channels) <= 1.0


def test_a_port_is_sought_by_its_name_before_any_description() -> None:
    device = sink(ports=(Port(name="a", description="b"), Port(name="b", description="a")))
    assert verbs.set_port(device, "b").commands == (SetPort(key=(Kind.SINK, 1), port="b"),)


def test_no_word_is_no_port() -> None:
    with pytest.raises(MixerError):
        verbs.set_port(sink(ports=(Port(name="a"),)), "")
