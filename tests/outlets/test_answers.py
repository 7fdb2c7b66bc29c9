"""The answers that are written by hand: dbus-fast writes the same bytes, whatever is answered to whom."""

from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.outlets.bus import plainly
from pwmixer_dbus.outlets.bus.answers import written_value

CLIENTS = st.text("0123456789.", max_size=40).map(":1.{}".format)
SERIALS = st.integers(1, 2**32 - 1)
VALUES = st.floats().map(lambda number: ("d", number)) | st.booleans().map(lambda truth: ("b", truth))


@given(SERIALS, CLIENTS, VALUES)
def test_dbus_fast_writes_the_same_bytes(serial: int, client: str, value: tuple[str, float | bool]) -> None:
    assert written_value(serial, client, *value) == plainly.written_value(serial, client, *value)


def test_anything_else_is_left_to_it() -> None:
    assert written_value(1, ":1.7", "u", 3) is None
