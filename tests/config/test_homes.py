"""Where a person's files are; and what both programs say where neither HOME, nor XDG variables, nor a passwd entry tell."""

import os
import sys

import pytest
from session import completed

STRANGER = """
import pwd, sys
def unknown(user): raise KeyError(user)
pwd.getpwuid = unknown
"""
"""Makes this process that of a user without a passwd entry."""

SERVICE = "from pwmixer_dbus.start import main; main()"
COMMAND = "from pwmixer_dbus.cli import main; sys.exit(main())"


def said_by_a_stranger(program: str, *words: str, **environment: str) -> tuple[int, str]:
    """Run a program without HOME and without what may stand in for it; return its exit status, and what it says."""
    kept = {key: value for key, value in os.environ.items() if key != "HOME" and "XDG" not in key}
    kept.pop("DBUS_SESSION_BUS_ADDRESS", None)
    done = completed(sys.executable, "-c", STRANGER + program, *words, env={**kept, **environment})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("home", [{}, {"HOME": "relative"}])
@pytest.mark.parametrize(
    ("program", "words", "variable"),
    [
        (SERVICE, (), "XDG_CONFIG_HOME"),
        (COMMAND, ("config", "path"), "XDG_CONFIG_HOME"),
        (COMMAND, ("doctor",), "XDG_CONFIG_HOME"),
        (COMMAND, ("rules", "edit"), "XDG_CONFIG_HOME"),
        (COMMAND, ("import", "wireplumber"), "XDG_STATE_HOME"),
        (COMMAND, ("install",), "XDG_DATA_HOME"),
    ],
)
def test_without_a_home_both_programs_say_what_to_set(
    program: str, words: tuple[str, ...], variable: str, home: dict[str, str]
) -> None:
    status, said = said_by_a_stranger(program, *words, **home)
    assert status == 1
    assert said.count("\n") == 1
    assert said.endswith(f"There is no home folder; set HOME, or {variable}.\n")


@pytest.mark.parametrize(
    ("program", "words", "status"),
    [(SERVICE, ("--config", "/nonexistent"), 1), (COMMAND, ("rules", "list"), 3)],
)
def test_without_a_home_a_bus_that_is_not_named_is_one_that_is_not_there(
    program: str, words: tuple[str, ...], status: int
) -> None:
    found, said = said_by_a_stranger(program, *words)
    assert found == status
    assert said.count("\n") == 1
    assert "session bus" in said
    assert "DBUS_SESSION_BUS_ADDRESS" in said
