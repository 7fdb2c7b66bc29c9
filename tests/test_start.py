"""Whoever activates the service waits for its imports: none of what few need is among them, and no program is run for them."""

import json
import subprocess
import sys

from session import PATIENCE

WANTED_BY_FEW = {"pydantic", "tomllib", "difflib", "xml.sax", "email", "http.client", "urllib.request"}
TELL = """
import json, subprocess, sys
started = []
run = subprocess.Popen.__init__
subprocess.Popen.__init__ = lambda self, command, *a, **k: (started.append(str(command)), run(self, command, *a, **k))[1]
from pwmixer_dbus.start import main
sys.argv = ["pwmixer-dbus", "--version"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
print(json.dumps([started, sorted(name for name, module in sys.modules.items() if module is not None)]))
"""


def test_the_program_loads_nothing_that_few_need_and_runs_no_other() -> None:
    done = subprocess.run(
        (sys.executable, "-c", TELL), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    started, loaded = json.loads(done.stdout.splitlines()[-1])
    assert started == []
    assert "pwmixer_dbus.outlets.bus.service" in loaded
    assert WANTED_BY_FEW & set(loaded) == set()
    assert "ssl" not in loaded
