"""Rules that are suggested: of what plays, of what has played, and of what a person has done."""

import pytest
from build import playback, sink, state_of, stream

from pwmixer_dbus.core.commands import SERVER
from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.events import Event, Gone, Routed, Seen
from pwmixer_dbus.core.model import Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import Rule
from pwmixer_dbus.core.state import MixerState, apply
from pwmixer_dbus.core.suggestions import SIGHTINGS, Sightings, remembering, suggestions

HEADSET, SPEAKERS = 3, 1


class Evening:
    """A mixer on paper in which something plays and ends."""

    def __init__(self) -> None:
        self.state: MixerState = state_of(sink(), sink(HEADSET, "headset"))
        self.sightings = Sightings()

    def happens(self, event: Event) -> None:
        before = self.state
        self.state, changes = apply(before, event)
        self.sightings.on_change(before, changes, SERVER)

    def plays(self, stream: Stream, *, by: str = "") -> None:
        """Let a stream come, be where it is by somebody's wish, and end."""
        self.happens(Seen(record=stream))
        self.happens(Routed(kind=stream.kind, index=stream.index, by=by))
        self.happens(Gone(kind=stream.kind, index=stream.index))

    def suggested(self) -> list[Rule]:
        return list(suggestions(self.state, (), self.sightings.streams(self.state)))


def test_what_has_played_away_from_the_default_is_suggested() -> None:
    evening = Evening()
    evening.plays(playback(device=HEADSET))
    evening.plays(playback(11, "game", device=SPEAKERS))
    (rule,) = evening.suggested()
    assert rule.to == ("headset",)


def test_where_a_person_has_moved_it_last_counts_before_where_it_was_otherwise() -> None:
    evening = Evening()
    evening.plays(playback(device=SPEAKERS, media_name="a"))
    assert evening.suggested() == []
    evening.plays(playback(11, device=HEADSET, media_name="b"), by="person")
    evening.happens(Seen(record=playback(12, device=SPEAKERS)))
    (rule,) = evening.suggested()
    assert rule.to == ("headset",)


def test_a_name_that_another_rule_has_is_not_suggested() -> None:
    evening = Evening()
    evening.happens(Seen(record=playback(device=HEADSET)))
    (rule,) = evening.suggested()
    off = replace(rule, enabled=False)
    others = (off, replace(off, name=f"{off.name} 2"))
    assert [other.name for other in suggestions(evening.state, others)] == [f"{off.name} 3"]


def test_what_nobody_could_recognise_again_is_neither_suggested_nor_remembered() -> None:
    evening = Evening()
    evening.happens(Seen(record=playback(binary="", device=HEADSET)))
    assert evening.suggested() == []
    with pytest.raises(
        InvalidArgumentError, match="Nobody could recognise the program behind stream:1 again"
    ):
        remembering(evening.state, stream(evening.state), sink())


def test_a_device_that_has_gone_is_not_suggested_and_one_that_is_back_is() -> None:
    evening = Evening()
    evening.plays(playback(device=HEADSET))
    evening.happens(Gone(kind=Kind.SINK, index=HEADSET))
    assert evening.suggested() == []
    evening.happens(Seen(record=sink(9, "headset")))
    assert [rule.to for rule in evening.suggested()] == [("headset",)]


def test_one_site_alone_is_not_told_apart() -> None:
    evening = Evening()
    for index in (10, 11):
        evening.plays(playback(index, "browser", device=SPEAKERS, media_name=f"Song {index} - YouTube"))
    assert evening.suggested() == []


def test_two_sites_need_not_play_at_one_time() -> None:
    evening = Evening()
    for index, title in enumerate(("A song - YouTube", "A game - Twitch"), 10):
        evening.plays(playback(index, "browser", device=SPEAKERS, media_name=title))
    assert [rule.name.rpartition(": ")[2] for rule in evening.suggested()] == ["YouTube", "Twitch"]


def test_only_so_many_are_kept_and_the_same_title_once() -> None:
    evening = Evening()
    for number in range(SIGHTINGS + 50):
        evening.plays(playback(device=HEADSET, media_name=f"Title {number}"))
    evening.plays(playback(device=HEADSET, media_name="Title 60"))
    kept = [stream.media_name for stream in evening.sightings.streams(evening.state)]
    assert len(kept) == len(set(kept)) == SIGHTINGS
    assert kept[-2:] == [f"Title {SIGHTINGS + 49}", "Title 60"]
