"""Whoever activates the service waits for its imports: none of what few need is among them, and no program is run for them."""

import json
import os
import sys

from session import completed

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
loaded = {name: module.__name__ for name, module in sys.modules.items() if module is not None}
is_prompt = sys.modules["pwmixer_dbus.system.prompt"].PromptSelector.is_prompt
print(json.dumps([started, loaded, is_prompt, sys.modules["pwmixer_dbus.gathering"].TOGETHER]))
"""


def loaded_by_the_program(**environment: str) -> tuple[list[str], dict[str, str], bool, float]:
    """Return what it started, which modules it has loaded, with what they call themselves, and two settings of these.

    That is whether its selector is prompt, and how many seconds levels wait for others.
    """
    done = completed(sys.executable, "-c", TELL, env={**os.environ, **environment}, check=True)
    started, loaded, is_prompt, together = json.loads(done.stdout.splitlines()[-1])
    return started, loaded, is_prompt, together


def test_the_program_loads_nothing_that_few_need_and_runs_no_other() -> None:
    started, loaded, is_prompt, together = loaded_by_the_program()
    assert started == []
    assert is_prompt
    assert together > 0
    assert "pwmixer_dbus.outlets.bus.service" in loaded
    assert WANTED_BY_FEW & set(loaded) == set()
    assert "ssl" not in loaded


def test_what_makes_it_small_can_be_switched_off() -> None:
    started, loaded, is_prompt, together = loaded_by_the_program(PWMIXER_PLAIN="1")
    assert started == []
    assert not is_prompt
    assert together == 0
    assert "pwmixer_dbus.outlets.bus.service" in loaded
    assert loaded["pwmixer_dbus.core.records"] == "dataclasses"
    assert loaded["pwmixer_dbus.pulse.mainloop"] == "pwmixer_dbus.pulse.plainly"
    for written_by_hand in ("levels", "answers"):
        assert loaded[f"pwmixer_dbus.outlets.bus.{written_by_hand}"] == "pwmixer_dbus.outlets.bus.plainly"
