"""The service runs at the sound server's priority: by itself where it may, else by RealtimeKit, else not."""

import json
import os
import sys
from pathlib import Path

from service import Service
from session import Session

KIT = Path(__file__).with_name("realtime_kit.py")
UNPRIVILEGED = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")
"""Root may raise priorities, and so do tests that run as root; whoever else runs them needs nothing to be taken away."""

under = UNPRIVILEGED if os.geteuid() == 0 else ()


def test_it_takes_the_level_that_is_asked_for(bare_session: Session) -> None:
    # Lower than that of the tests, which is open to everybody.
    wanted = min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)
    bare_session.configure(f"[service]\nnice = {wanted}\n")
    service = Service(bare_session, under=under).start()
    assert os.getpriority(os.PRIO_PROCESS, service.process.pid) == wanted
    service.stop()


def test_what_it_may_not_take_realtime_kit_is_asked_for(bare_session: Session) -> None:
    log = bare_session.runtime / "kit.log"
    bare_session.spawn("kit", sys.executable, str(KIT))
    bare_session.wait_for_child("kit", lambda: "ready" in log.read_text(), "to be ready")
    service = Service(bare_session, under=under).start()
    wish = ["/org/freedesktop/RealtimeKit1", "MakeThreadHighPriority", "ti", service.process.pid, -11]
    bare_session.wait_for(lambda: log.read_text().splitlines()[1:] == [json.dumps(wish)], "the wish")
    service.stop()
    assert "not to be had" not in service.log()


def test_without_realtime_kit_it_says_so_and_serves(bare_session: Session) -> None:
    service = Service(bare_session, under=under).start()
    bare_session.wait_for(lambda: "nice -11 is not to be had: " in service.log(), "the sentence")
    assert "INFO on a busy machine others have their turn first" in service.log()
    assert service.get("Connected") is True
    service.stop()


def test_without_a_system_bus_it_says_so_and_serves(bare_session: Session) -> None:
    nowhere = ("env", f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={bare_session.runtime}/nowhere")
    service = Service(bare_session, under=(*nowhere, *under)).start()
    bare_session.wait_for(
        lambda: "nice -11 is not to be had: there is no system bus" in service.log(), "the sentence"
    )
    service.stop()
