"""What is put off at the start stays away from a service at work: it is the set of its modules that is small."""

import json
import sys
from pathlib import Path

from client import with_speakers_running
from recorder import Recorder
from service import ROOT, Json, Service
from session import PATIENCE, Session

from pwmixer_dbus.startup.bundle import NAME
from pwmixer_dbus.startup.later import LATER

TELLING_AT_ITS_END = """
import atexit, sys
place, first = sys.argv.pop(), {*sys.modules}

def tell():
    import json
    modules = {name: module for name, module in sys.modules.items() if module and type(module).__name__ != "_Later"}
    sources = [name for name, module in modules.items() if type(getattr(module, "__loader__", 0)).__name__ == "SourceFileLoader"]
    with open(place, "w") as file:
        json.dump([list(modules), [name for name in sources if name not in first]], file)

atexit.register(tell)
from pwmixer_dbus.start import main
main()
"""
SPEAKERS = f"{ROOT}/sinks/speakers"
COMPILING = {"re._compiler", "re._parser"}
"""What the first start needs."""

BROUGHT = {"_hashlib", "ssl", "dis", "tokenize", "random", "locale", "ipaddress", "bz2", "lzma"}
WANTED_BY_FEW = {"pydantic", "tomllib", "argparse", "difflib", "email", "pwmixer_dbus.system.profiling"}
WANTED_BY_FEW |= {"pwmixer_dbus.meters", "pwmixer_dbus.core.metering", "pwmixer_dbus.pulse.meters"}


def test_a_service_at_work_has_loaded_none_of_what_was_put_off(session: Session) -> None:
    place = session.runtime / "loaded.json"
    session.play("Radio")
    program = session.runtime / "telling.py"  # no -c, for which Python 3.13 loads linecache
    program.write_text(TELLING_AT_ITS_END)
    process = session.spawn("lean", sys.executable, str(program), str(place))
    service = Service(session)
    service.process = process
    session.wait_for_child("lean", service.is_owner, "to own its name")
    service.wait_connected()
    service.wait_settled()
    service.wait_for_stream("Radio")
    film = session.play("Film")
    service.wait_for_stream("Film")
    service.call("SetVolume", "sda{sv}", "app:radio", 0.4, 0)
    service.call("FadeVolume", "sdua{sv}", "app:film", 0.3, 100, 0)
    service.wait_for_stream("Film", volume=0.3)
    service.call("ReloadConfig")
    film.terminate()
    session.wait_for(lambda: len(service.describe()["streams"]) == 1, "Film to be gone")
    session.wait_for(
        lambda: session.state.exists() and "radio" in session.state.read_text(), "the volume to be remembered"
    )
    process.terminate()
    assert process.wait(PATIENCE) == 0
    loaded, from_sources = map(set, json.loads(place.read_text()))
    assert "pwmixer_dbus.outlets.socket.listener" in loaded
    assert loaded & (LATER.keys() - COMPILING | BROUGHT | WANTED_BY_FEW) == set()
    assert from_sources >= {"pwmixer_dbus.startup.bundle", "pwmixer_dbus.daemon"}


def test_what_one_run_has_written_into_one_file_the_next_one_loads_all_of_its_modules_from(
    session: Session,
) -> None:
    place = session.runtime / "loaded.json"
    file = Path(session.env["XDG_CACHE_HOME"], "pwmixer", NAME)
    program = session.runtime / "telling.py"
    program.write_text(TELLING_AT_ITS_END)
    service = Service(session)
    for run in ("first", "next"):
        service.process = session.spawn(run, sys.executable, str(program), str(place))
        session.wait_for_child(run, service.is_owner, "to own its name")
        service.wait_connected()
        session.wait_for(file.exists, "the byte code to be written")
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0
    loaded, from_sources = json.loads(place.read_text())
    assert COMPILING & {*loaded} == set()
    first = {"pwmixer_dbus", "pwmixer_dbus.start", "pwmixer_dbus.startup", "pwmixer_dbus.startup.bundle"}
    assert {*from_sources} == first
    written = file.read_bytes()
    assert (
        b"def __init__(self, *, kind, index, client=" in written
    )  # what it has executed: the methods of streams
    assert b"pwmixer_dbus.core.state:more_than_levelled" in written  # what it has called
    assert written.count(b"__loader__") > 100  # in each module, what has been put off


def test_without_all_that_makes_it_fast_a_client_is_told_the_same(session: Session) -> None:
    told: dict[str, tuple[list[Json], list[object]]] = {}
    for switch in ("0", "1"):
        service = Service(session, name=f"plain-{switch}", under=("env", f"PWMIXER_PLAIN={switch}")).start()
        if not told:
            with_speakers_running(service)
        service.call("SetVolume", "sda{sv}", "@sink", 1.0, 0)
        recorder = Recorder(service, f"recorder-{switch}")
        service.call("SetVolume", "sda{sv}", "@sink", 0.4, 0)
        service.call("SetMuted", "ssa{sv}", "@sink", "toggle", 0)
        values = [service.get(name, path=SPEAKERS, interface="Node") for name in ("Volume", "Muted")]
        service.call("SetMuted", "ssa{sv}", "@sink", "toggle", 0)
        told[switch] = recorder.changes(SPEAKERS), values
        service.stop()
    assert told["1"] == told["0"]
    assert told["0"][1] == [0.4, True]
