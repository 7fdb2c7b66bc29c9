"""Fixtures of all tests: mistakes that are only logged fail, too. A private session, and the real service. Nothing is skipped."""

import asyncio
import inspect
import logging
import signal
from collections.abc import Iterator

import pytest
from defaults import add_devices
from hypothesis import HealthCheck, settings
from service import Service
from session import Session


class _Mistakes(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.made: list[BaseException | None] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.made.append(record.exc_info[1])


@pytest.fixture(autouse=True)
def no_mistakes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail where code of ours raises what is logged and gone on from, in a test that is not marked as one that means it."""
    log, mistakes = logging.getLogger("pwmixer_dbus"), _Mistakes()
    log.addHandler(mistakes)
    try:
        yield
    finally:
        log.removeHandler(mistakes)
    if request.node.get_closest_marker("mistakes") is None:
        assert mistakes.made == []
    else:
        assert mistakes.made


@pytest.fixture
def silent_session() -> Iterator[Session]:
    """Start a session with a bus, but without a sound server, which may come later."""
    with Session(sound=False) as session:
        yield session


@pytest.fixture
def bare_session() -> Iterator[Session]:
    """Start a session with a bus and a sound server, but without any device."""
    with Session() as session:
        yield session


@pytest.fixture
def session(bare_session: Session) -> Session:
    """Add two sinks, of which `speakers` is the default, and a microphone."""
    add_devices(bare_session)
    return bare_session


@pytest.fixture
def service(session: Session) -> Iterator[Service]:
    """Start the service and wait until it is connected; it has to end cleanly and without a traceback in its log."""
    service = Service(session).start()
    try:
        yield service
    finally:
        service.stop()


def pytest_configure() -> None:
    """Have property tests try the same examples in every run, however long one takes, and take SIGINT as ever.

    In the background of a script, all that the tests start would ignore it otherwise.
    """
    slow = [HealthCheck.too_slow]
    settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=slow)
    settings.load_profile("steady")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    asked_for = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in asked_for}))
    return True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which anything was skipped: here, what cannot run is broken."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
