"""A bus for what of the service runs in the process of the tests."""

import pytest
from session import Session


@pytest.fixture
def private_bus(silent_session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Make the session bus of a session without a sound server that of this process."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", silent_session.env["DBUS_SESSION_BUS_ADDRESS"])
    return silent_session
