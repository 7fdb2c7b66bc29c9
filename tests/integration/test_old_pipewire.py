"""The core scenarios once more, on PipeWire 0.3.65 and WirePlumber 0.4, which Debian 12 has.

Only the server is old: the client library is the system's. `docs/pipewire-versions.md` says what is different there.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import test_cards
import test_random_operations
from fakecard import FakeCard
from service import Service
from session import Session, completed
from test_cards import (  # noqa: F401 - to be run here, too
    PROFILE_CHANGES,
    test_a_card_is_unplugged_and_comes_back,
    test_a_jack_is_plugged_and_pulled,
    test_a_jack_that_moves_nothing_is_seen_at_the_source_as_well,
)
from test_meters import (  # noqa: F401 - likewise
    reader,
    test_targets_are_followed_through_what_becomes_of_them,
    test_what_is_played_is_shown_and_nothing_is_left_when_the_last_reader_has_gone,
)
from test_relinks import (  # noqa: F401 - likewise
    radio,
    start,
    test_a_paused_stream_that_another_mixer_has_moved_is_seen_when_it_goes_on,
    test_a_recording_follows_the_default,
    test_a_stream_follows_the_default,
    test_a_stream_loses_its_own_sink,
    test_a_stream_that_we_move_is_where_we_say,
    test_the_session_manager_is_known_by_what_it_says_of_itself,
)
from test_streams import (  # noqa: F401 - likewise
    test_a_sink_comes_and_goes,
    test_a_stream_appears_is_changed_moved_and_dies,
    test_an_app_volume_reaches_all_its_streams_also_those_born_later,
    test_it_starts_before_there_is_a_sound_server,
    test_ten_steps_up_in_a_hurry_are_exactly_ten_steps,
    test_the_default_changes_and_its_alias_follows,
    test_the_sound_server_is_killed_and_comes_back,
)

VERSION = "0.3.65"
UNPACK = Path(__file__).parent.parent.parent / "scripts" / "old-pipewire"


@pytest.fixture(scope="module")
def prefix() -> Path:
    """Return the folder with the old programs, which are fetched if they are not there."""
    done = completed(UNPACK, timeout=900)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture
def bare_session(prefix: Path) -> Iterator[Session]:
    """Start a session on the old server, in place of that on the system's."""
    with Session(prefix=prefix) as session:
        yield session


def test_the_server_is_the_old_one_and_says_whose_a_stream_is(service: Service) -> None:
    assert service.get("ServerName") == f"PulseAudio (on PipeWire {VERSION})"
    player = service.session.play("Radio")
    assert service.wait_for_stream("Radio")["pid"] == player.pid


@pytest.mark.usefixtures("card")
def test_a_profile_changes(service: Service) -> None:
    test_cards.test_a_profile_changes_and_sinks_and_sources_come_and_go(service, PROFILE_CHANGES["pactl"])


def test_a_port_changes(service: Service, card: FakeCard) -> None:
    test_cards.test_a_port_changes_and_brings_its_own_volume(service, card, "method", playing=False)


def test_the_state_is_the_servers_after_a_thousand_random_operations(service: Service) -> None:
    test_random_operations.operate(service, 1000)
