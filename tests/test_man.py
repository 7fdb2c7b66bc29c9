"""The manual pages say what the program and its documents say, and every formatter can read them."""

from pathlib import Path

import gen_dbus_docs
import gen_man
import pytest
from session import completed

from pwmixer_dbus.cli.commands import COMMANDS
from pwmixer_dbus.config.errors import key_text
from pwmixer_dbus.config.schema import keys

PAGES = gen_man.pages()


def test_the_pages_are_what_is_made_of_their_sources() -> None:
    there = {path: path.read_text(encoding="utf-8") for path in gen_man.MAN.rglob("*.?")}
    assert there == PAGES, "run scripts/gen_man.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_formatted_without_a_warning(page: Path) -> None:
    done = completed(
        *("man", "--warnings", "--encoding=UTF-8", "--local-file", page),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "120"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "SEE ALSO" in done.stdout


def test_every_command_option_key_and_member_has_its_place() -> None:
    control, service, settings, bus = (
        next(text for path, text in PAGES.items() if path.name == name).replace("\\-", "-")
        for name in ("pwmixerctl.1", "pwmixer-dbus.8", "pwmixer.toml.5", "org.pwmixer.Mixer.5")
    )
    for command in COMMANDS.values():
        if command.hidden:
            continue
        assert f"pwmixerctl {command.name}" in control
        assert all(option.names[-1] in control for option in command.options)
    assert "pwmixerctl rules suggest" in control
    assert all(option in service for option in ("--replace", "--config FILE", "--dump-events"))
    assert all(f"\\fB{key_text(key.path)}\\fR" in settings for key in keys())
    for interface in gen_dbus_docs.contract().values():
        assert all(member.name in bus for member in interface.members)
