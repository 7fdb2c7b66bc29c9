"""libpulse inside asyncio: the private names that it leans on, and that nothing of it dies when it is cancelled."""

import ast
import inspect
import sys
from pathlib import Path

import pytest
from pulsectl import _pulsectl
from pulsectl_asyncio.pulsectl_async import PulseAsync
from session import PATIENCE, Session, completed

from pwmixer_dbus.core.errors import MixerError, NotConnectedError
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse import libpulse
from pwmixer_dbus.pulse.mainloop import MainLoop
from pwmixer_dbus.pulse.server import SET_MUTE

PULSE = Path(libpulse.__file__).parent


# --- the private names that we lean on


def names_after(prefix: str) -> set[str]:
    """Return every NAME for which the package says PREFIX.NAME in `pulse/`."""
    return {
        node.attr
        for path in PULSE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == prefix
    }


def test_pulsectl_declares_every_struct_and_constant_that_we_read() -> None:
    names = names_after("c")
    assert {"PA_SINK_INFO", "PA_CARD_INFO", "PA_MAINLOOP_API", "PA_INVALID"} <= names
    assert {name for name in names if not hasattr(_pulsectl, name)} == set()


def test_pulsectl_binds_every_function_that_we_call() -> None:
    names = names_after("c.pa")
    assert {"channel_position_to_string"} <= names
    assert {name for name in names if not callable(getattr(_pulsectl.pa, name, None))} == set()


def test_libpulse_has_every_function_that_we_bind() -> None:
    names = names_after("libpulse")
    assert {"subscribe", "get_server"} <= names
    assert {name for name in names if not hasattr(libpulse, name)} == set()


@pytest.mark.parametrize(
    ("method", "leans_on"),
    [
        ("__init__", ["self.init(", "self._connected =", "self._disconnected ="]),
        ("init", ["self._ctx_init()", "self._loop = PythonMainLoop("]),
        ("_ctx_init", ["self._loop.api_pointer", "self._ctx =", "self._pa_state_cb"]),
        ("connect", ["self._connected.wait()", "self._ctx"]),
        ("disconnect", ["self._ctx", "self._disconnected"]),
        ("close", ["self._loop.stop(0)", "self._ctx = self._loop = None", "self.disconnect()"]),
        ("_pulse_state_cb", ["self._connected.set()", "self._disconnected.set()"]),
    ],
)
def test_pulsectl_asyncio_works_as_we_lean_on_it(method: str, leans_on: list[str]) -> None:
    source = inspect.getsource(getattr(PulseAsync, method))
    assert [words for words in leans_on if words not in source] == []


@pytest.mark.parametrize("method", ["connect", "close", "init", "_ctx_init", "_pulse_state_cb"])
def test_what_we_override_takes_what_is_given(method: str) -> None:
    theirs, ours = (inspect.signature(getattr(of, method)) for of in (PulseAsync, libpulse.Connection))
    assert len(ours.parameters) == len(theirs.parameters)
    if not method.startswith("_"):
        assert list(ours.parameters) == list(theirs.parameters)


async def test_a_connection_runs_on_our_loop_and_gives_everything_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    lost: list[str] = []
    connection = libpulse.Connection("test", lambda *_: None, lambda: lost.append("lost"))
    assert isinstance(connection._loop, MainLoop)
    assert connection._ctx is not None
    failures: list[MixerError | None] = []
    connection.command(SET_MUTE[Kind.SINK], 1, 1, done=failures.append)
    assert [type(failure) for failure in failures] == [NotConnectedError]
    with pytest.raises(Exception, match="Failed to connect"):
        await connection.connect(timeout=PATIENCE)
    connection.close()
    connection.close()
    assert vars(connection)["_ctx"] is vars(connection)["_loop"] is None
    assert lost == []


# --- with a real server

CANCELLED = """
import asyncio, faulthandler, importlib, sys
sys.modules["pwmixer_dbus.pulse.mainloop"] = importlib.import_module("pwmixer_dbus.pulse." + sys.argv[1])
from pwmixer_dbus.core.commands import SetMuted, SetVolume
from pwmixer_dbus.core.events import Snapshot
from pwmixer_dbus.pulse.server import SoundServer

faulthandler.enable()
asked = answered = 0

def done(waiter):
    def answer(error):
        global answered
        answered += 1
        if not waiter.done():
            waiter.set_result(error)
    return answer

async def ask(server, device):
    global asked
    key = device.kind, device.index
    waiters = []
    for command in (SetVolume(key=key, channels=(0.5, 0.5)), SetMuted(key=key, muted=True)):
        waiters.append(asyncio.get_running_loop().create_future())
        asked += 1
        server.send(command, done(waiters[-1]))
    await asyncio.gather(*waiters)

async def once(i):
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    def emit(event):
        if isinstance(event, Snapshot) and not ready.done():
            ready.set_result(event.devices)
    server = SoundServer(emit)
    running = asyncio.create_task(server.run())
    asking = []
    for device in await ready:
        asking += [asyncio.create_task(ask(server, device)) for _ in range(5)]
    for _ in range(i % 7):
        await asyncio.sleep(0)
    for task in (*asking, running) if i % 2 else (running, *asking):
        task.cancel()
    await asyncio.gather(running, *asking, return_exceptions=True)

async def main():
    for i in range(100):
        await once(i)
    assert asked and asked == answered, (asked, answered)
    print("alive after", asked)

asyncio.run(main())
"""


@pytest.mark.parametrize("main_loop", ["mainloop", "plainly"])
def test_a_hundred_cancellations_with_requests_in_flight_leave_the_process_alive(
    bare_session: Session, main_loop: str
) -> None:
    bare_session.add_null_sink("speakers")
    done = completed(
        *(sys.executable, "-X", "dev", "-c", CANCELLED, main_loop),
        env={**bare_session.env, "PYTHONWARNINGS": "error"},
        cwd=PULSE.parents[1],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("alive after")
    assert "never" not in done.stderr
