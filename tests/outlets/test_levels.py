"""The signal of a level that is written by hand: dbus-fast writes the same bytes, whatever the values are."""

from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.document import Level
from pwmixer_dbus.outlets.bus import plainly
from pwmixer_dbus.outlets.bus.levels import level_changed
from pwmixer_dbus.outlets.bus.paths import ROOT, escape

VOLUMES = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0.0, 1e6)
LEVELS = st.builds(Level, VOLUMES, st.booleans(), st.lists(VOLUMES, max_size=32).map(tuple))
PATHS = st.text(max_size=80).map(lambda name: f"{ROOT}/apps/{escape(name)}")


@given(PATHS, LEVELS, LEVELS)
def test_dbus_fast_writes_the_same_bytes(path: str, old: Level, new: Level) -> None:
    for level in (new, old._replace(volume=new.volume), old._replace(channels=new.channels)):
        assert level_changed(path, old, level) == plainly.level_changed(path, old, level)


def test_what_is_as_loud_as_before_is_not_told() -> None:
    assert level_changed(f"{ROOT}/streams/1", Level(0.5, True, (0.5,)), Level(0.5, True, (0.5,))) is None
