"""Selectors: one grammar on every outlet, an exact name wins, and nothing that is typed can do more than be refused."""

import gc
import re
import tracemalloc

import pytest
from build import (
    after,
    app,
    capture,
    card,
    no_parents,
    parents,
    playback,
    process,
    sink,
    source,
    state_of,
)
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.errors import AmbiguousError, InvalidArgumentError, MixerError, NotFoundError
from pwmixer_dbus.core.events import Routed
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.selectors import SELECTOR_LIMIT, ParentOf, only, resolve, selector_of
from pwmixer_dbus.core.state import MixerState


def world() -> MixerState:
    return state_of(
        sink(1, "speakers", description="Built-in Audio"),
        sink(3, "headset.usb", description="USB Headset"),
        source(2, "microphone"),
        card(7, "alsa_card.pci", description="Built-in"),
        playback(10, "firefox", process=process(300)),
        playback(11, "mpv", process=process(400)),
        capture(12, "firefox", process=process(301)),
    )


def named(selector: str, state: MixerState | None = None, parent_of: ParentOf = no_parents) -> list[str]:
    return [selector_of(t) for t in resolve(state or world(), selector, parent_of)]


def refusal(selector: str, error: type[MixerError], state: MixerState | None = None) -> str:
    with pytest.raises(error) as caught:
        resolve(state or world(), selector, no_parents)
    return str(caught.value)


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ("@sink", ["sink:speakers"]),
        ("@source", ["source:microphone"]),
        ("sink:speakers", ["sink:speakers"]),
        ("sink:SPEAKERS", ["sink:speakers"]),
        ("sink:usb headset", ["sink:headset.usb"]),
        ("sink:*", ["sink:speakers", "sink:headset.usb"]),
        ("sink:*usb*", ["sink:headset.usb"]),
        ("sink:[hs]*", ["sink:speakers", "sink:headset.usb"]),
        ("source:micro*", ["source:microphone"]),
        ("card:built-in", ["card:alsa_card.pci"]),
        ("card:alsa*", ["card:alsa_card.pci"]),
        ("app:bin:firefox", ["app:bin:firefox"]),
        ("app:firefox", ["app:bin:firefox"]),
        ("app:Firefox", ["app:bin:firefox"]),
        ("app:bin:*", ["app:bin:firefox", "app:bin:mpv"]),
        ("app:m?v", ["app:bin:mpv"]),
        ("stream:2", ["stream:2"]),
        ("stream:002", ["stream:2"]),
        ("stream:*", ["stream:1", "stream:2", "stream:3"]),
        ("stream:[12]", ["stream:1", "stream:2"]),
        ("pid:300", ["stream:1"]),
    ],
)
def test_a_selector_means(selector: str, meant: list[str]) -> None:
    assert named(selector) == meant


def test_an_exact_name_beats_a_better_known_one() -> None:
    state = state_of(sink(1, "usb"), sink(2, "analog", description="usb"), sink(3, "usb*"))
    assert named("sink:usb", state) == ["sink:usb"]
    assert named("sink:usb*", state) == ["sink:usb*"]


def test_a_reverse_dns_id_goes_by_its_last_word() -> None:
    state = state_of(playback(binary="", properties={"application.id": "org.gnome.Music"}))
    assert named("app:music", state) == ["app:id:org.gnome.Music"]


def test_a_name_that_fits_several_is_refused_with_their_selectors() -> None:
    state = state_of(sink(1, "a", description="USB"), sink(2, "b", description="USB"))
    assert refusal("sink:USB", AmbiguousError, state) == (
        "“sink:USB” fits several: sink:a, sink:b. Name one of them, or use a glob for all."
    )
    assert named("sink:US*", state) == ["sink:a", "sink:b"]


@pytest.mark.parametrize("form", ["sink", "source", "app", "card"])
def test_where_there_is_none_of_a_kind_it_says_so(form: str) -> None:
    told = refusal(f"{form}:*", NotFoundError, state_of())
    assert told == f"Nothing is called “{form}:*” now. There is no {form} at all."


def test_where_one_is_needed_a_glob_must_not_fit_two() -> None:
    assert selector_of(only("sink:head*", resolve(world(), "sink:head*", no_parents))) == "sink:headset.usb"
    with pytest.raises(AmbiguousError) as caught:
        only("sink:*", resolve(world(), "sink:*", no_parents))
    assert str(caught.value).endswith("sink:speakers, sink:headset.usb. Only one can be meant here: name it.")


@pytest.mark.parametrize(
    ("selector", "error", "says"),
    [
        ("sink:speaker", NotFoundError, "There is sink:speakers."),
        ("sink:kitchen", NotFoundError, "There is sink:speakers, sink:headset.usb."),
        ("app:fire", NotFoundError, "There is app:bin:firefox."),
        ("stream:99", NotFoundError, "streams come and go"),
        ("pid:999", NotFoundError, "Process 999"),
        ("firefox", InvalidArgumentError, "did you mean app:firefox?"),
        ("speakers", InvalidArgumentError, "did you mean sink:speakers?"),
        ("USB Headset", InvalidArgumentError, "did you mean sink:headset.usb?"),
        ("", InvalidArgumentError, "use @sink, @source, sink:NAME"),
        ("sink:", InvalidArgumentError, "use @sink, @source, sink:NAME"),
        ("sink", InvalidArgumentError, "did you mean @sink?"),
        ("Source", InvalidArgumentError, "did you mean @source?"),
        ("@SINK", InvalidArgumentError, "did you mean @sink?"),
        ("@DEFAULT_AUDIO_SOURCE@", InvalidArgumentError, "did you mean @source?"),
        ("SINK:Speakers", InvalidArgumentError, "did you mean sink:speakers?"),
        ("1", InvalidArgumentError, "did you mean stream:1?"),
        ("@monitor", InvalidArgumentError, "use @sink, @source, sink:NAME"),
        ("speaker:x", InvalidArgumentError, "use @sink, @source, sink:NAME"),
        ("stream:one", InvalidArgumentError, "needs a whole number after the colon."),
        ("pid:-1", InvalidArgumentError, "needs a whole number after the colon."),
        ("pid:٣", InvalidArgumentError, "needs a whole number after the colon."),
        ("x" * (SELECTOR_LIMIT + 1), InvalidArgumentError, "at most"),
    ],
)
def test_what_fits_nothing_says_what_would(selector: str, error: type[MixerError], says: str) -> None:
    sentence = refusal(selector, error)
    assert says in sentence
    assert sentence[-1] in ".?"


@pytest.mark.parametrize("name", ["firefox", "mpv", "speakers", "USB Headset", "microphone"])
def test_a_hint_can_be_followed(name: str) -> None:
    hint = refusal(name, InvalidArgumentError).rpartition("did you mean ")[2].removesuffix("?")
    assert named(hint)


def test_without_a_default_there_is_a_sentence() -> None:
    assert refusal("@sink", NotFoundError, state_of()) == "There is no default sink at the moment."


# --- groups


def grouped(**groups: str) -> MixerState:
    """Put the streams of `world` with these indexes, written `s10`, into groups."""
    return after(
        world(),
        *(
            Routed(kind=Kind.PLAYBACK, index=int(key[1:]), by="", group=group)
            for key, group in groups.items()
        ),
    )


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ("group:Chat", ["group:Chat"]),
        ("group:chat", ["group:chat"]),
        ("group:c*t", ["group:Chat", "group:chat"]),
        ("group:*", ["group:Chat", "group:chat"]),
    ],
)
def test_a_group_means_one_object(selector: str, meant: list[str]) -> None:
    state = grouped(s10="Chat", s11="chat")
    assert named(selector, state) == meant
    assert "Name one of them" in refusal("group:CHAT", AmbiguousError, state)
    assert named("group:CHAT", grouped(s10="Chat", s11="Chat")) == ["group:Chat"]


def test_a_group_that_is_not_there_says_which_are() -> None:
    assert refusal("group:x", NotFoundError, grouped(s10="Chat")).endswith("There is group:Chat.")
    assert "Rules put streams into groups." in refusal("group:x", NotFoundError)
    assert refusal("group:*", NotFoundError)


# --- processes


def test_a_window_of_a_browser_finds_what_its_children_play() -> None:
    assert named("pid:100", parent_of=parents(p300=200, p200=100, p301=200)) == ["stream:1", "stream:3"]


def test_a_child_finds_what_its_parent_plays() -> None:
    assert named("pid:600", parent_of=parents(p600=500, p500=400, p400=1)) == ["stream:2"]


def test_what_is_below_counts_before_what_is_above() -> None:
    assert named("pid:350", parent_of=parents(p300=350, p350=400)) == ["stream:1"]


def test_init_is_nobodys_parent() -> None:
    with pytest.raises(NotFoundError):
        named("pid:600", parent_of=parents(p600=1, p300=1, p301=1, p400=1))


def test_processes_that_are_each_others_parent_end() -> None:
    in_circles = parents(p300=301, p301=300, p400=401, p401=400, p7=8, p8=7)
    assert named("pid:401", parent_of=in_circles) == ["stream:2"]
    with pytest.raises(NotFoundError):
        named("pid:7", parent_of=in_circles)


# --- hostile ones

FORMS = ["sink:", "source:", "app:", "card:", "stream:", "pid:", "group:", "@", "", "APP:", ":"]
HOSTILE = st.one_of(
    st.text(max_size=40),
    st.builds(str.__add__, st.sampled_from(FORMS), st.text(max_size=40)),
    st.builds(str.__add__, st.sampled_from(FORMS), st.text("*?[]!^-&|~a\\\x00\ud800", max_size=40)),
)


@given(HOSTILE)
def test_nothing_that_is_typed_does_more_than_be_refused(selector: str) -> None:
    try:
        assert resolve(world(), selector, no_parents)
    except MixerError as error:
        sentence = str(error)
        assert sentence[-1] in ".?"
        sentence.encode()  # no lone surrogate is on its way to a bus
        assert "\x00" not in sentence


@pytest.mark.parametrize("selector", ["sink:" + "*a" * 250, "app:" + "[" * 500, "app:" + "?*" * 250])
def test_a_hostile_glob_costs_nothing(selector: str) -> None:
    state = state_of(sink(name="a" * 500 + "b"), *(playback(i, f"{'a' * 100}{i}b") for i in range(100)))
    with pytest.raises(NotFoundError):
        resolve(state, selector, no_parents)


def test_a_name_with_more_signs_than_a_glob_may_have_is_only_a_name() -> None:
    state = state_of(sink(1, "?" * 33), sink(2, "[" * 40))
    assert named("sink:" + "?" * 33, state) == ["sink:" + "?" * 33]
    assert named("sink:" + "*" * 32, state) == ["sink:" + "?" * 33, "sink:" + "[" * 40]
    assert "Nothing is called" in refusal("sink:" + "*" * 33, NotFoundError, state)
    assert "needs a whole number" in refusal("stream:" + "*" * 33, InvalidArgumentError, state)


@given(st.text("aAbB.:*[ ", min_size=1, max_size=6))
def test_a_sink_is_found_by_the_selector_that_it_is_shown_with(name: str) -> None:
    state = state_of(sink(name=name), source(2, "x"))
    assert resolve(state, selector_of(sink(name=name)), no_parents) == (sink(name=name),)


def test_an_app_is_found_by_the_selector_that_it_is_shown_with() -> None:
    state = state_of(playback(10, ""), playback(11, "a"), playback(12, "b"))
    assert [resolve(state, selector_of(app(state, i)), no_parents) for i in state.apps] == [
        (a,) for a in state.apps.values()
    ]


GLOBS = 100


def test_of_globs_that_are_always_others_only_the_last_ones_are_kept() -> None:
    state = world()

    def kept_after(word: str) -> int:
        for number in range(GLOBS):
            refusal(f"app:{word}*{number}*again", NotFoundError, state)
        re.purge()
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        return kept

    tracemalloc.start()
    try:
        before = kept_after("one")
        assert kept_after("two") - before < GLOBS * 100
    finally:
        tracemalloc.stop()
