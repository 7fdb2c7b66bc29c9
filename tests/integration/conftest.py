"""Fixtures of the tests that need more than two sinks and a microphone, and which of them this system can run."""

import platform
from collections.abc import Callable, Iterator

import pytest
from client import with_speakers_running
from fakecard import FakeCard
from service import Service
from session import Session

OLD_PIPEWIRE = "test_old_pipewire.py"


def _is_debian_12() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return (release["ID"], release.get("VERSION_ID")) == ("debian", "12")


# The packages of PipeWire 0.3.65 that scripts/old-pipewire unpacks fit no other system.
collect_ignore = [] if _is_debian_12() else [OLD_PIPEWIRE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not even collected."""
    if collect_ignore:
        terminalreporter.write_line(f"{OLD_PIPEWIRE} is left out: PipeWire 0.3.65 is that of Debian 12 only")


@pytest.fixture
def playing(service: Service) -> Service:
    """Start the service, and have its speakers run, so that their volume can change."""
    return with_speakers_running(service)


@pytest.fixture
def card(session: Session) -> Iterator[FakeCard]:
    """Plug in a sound card, which comes when the test has its other fixtures; the default stays `speakers`."""
    card = FakeCard(session)
    try:
        yield card.start()
    finally:
        card.stop()


@pytest.fixture
def with_rules(session: Session) -> Iterator[Callable[[str], Service]]:
    """Start the service with rules in its config.toml; it ends without a traceback."""
    services: list[Service] = []

    def start(text: str) -> Service:
        session.configure(text)
        services.append(Service(session).start())
        return services[0]

    yield start
    for service in services:
        service.stop()
