"""What docs/bars.md says: its commands make the calls that it promises, and its tables are those of the program."""

import json
import re
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
from cli_rig import FakeService, first_line
from session import PATIENCE, completed

from pwmixer_dbus.cli.bars.lines import FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "bars.md").read_text(encoding="utf-8")
CONTEXT = {"context": "pwmixerctl"}
STEPS = {**CONTEXT, "steps": True}
CALLS = {
    "click": ["SetMuted", "@sink", "toggle", CONTEXT],
    "right": ["SetMuted", "@source", "toggle", CONTEXT],
    "middle": ["SetDefault", "sink:*headset*"],
    "up": ["AdjustVolume", "@sink", 1.0, STEPS],
    "down": ["AdjustVolume", "@sink", -1.0, STEPS],
}


def example(bar: str, number: int = 0) -> str:
    """Return one of the blocks of code in the section of a bar."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"{bar}\n")]
    blocks: list[str] = re.findall(r"^```\w+\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return blocks[number]


def commands() -> dict[str, dict[str, str]]:
    """Read the examples as the bars do: the command that prints, and what is bound."""
    waybar = json.loads(f"{{{example('waybar')}}}")["custom/volume"]
    polybar = ConfigParser(interpolation=None)
    polybar.read_string(example("polybar"))
    blocks = tomllib.loads(example("i3status-rust"))["block"][0]
    clicks = {click["button"]: click["cmd"] for click in blocks["click"]}
    eww = dict(re.findall(r":(on\w+) \"(.*?)\"", example("eww")))
    (listen,) = re.findall(r"\"(pwmixerctl eww.*?)\"", example("eww"))
    volume = polybar["module/volume"]
    return {
        "waybar": {
            "prints": waybar["exec"],
            "click": waybar["on-click"],
            "right": waybar["on-click-right"],
            "middle": waybar["on-click-middle"],
            "up": waybar["on-scroll-up"],
            "down": waybar["on-scroll-down"],
        },
        "polybar": {
            "prints": volume["exec"],
            "click": volume["click-left"],
            "right": volume["click-right"],
            "middle": volume["click-middle"],
            "up": volume["scroll-up"],
            "down": volume["scroll-down"],
        },
        "i3status-rust": {"prints": blocks["command"], "click": clicks.pop("left"), **clicks},
        "eww": {
            "prints": listen,
            "click": eww["onclick"],
            "right": eww["onrightclick"],
            "middle": eww["onmiddleclick"],
            "up": eww["onscroll"].replace("{}", "up"),
            "down": eww["onscroll"].replace("{}", "down"),
        },
    }


@pytest.mark.parametrize("bar", commands())
def test_the_commands_of_an_example_do_what_they_are_bound_for(
    bar: str, environment: dict[str, str], fake_service: FakeService
) -> None:
    bound = commands()[bar]
    assert set(bound) == {"prints", *CALLS}
    for action, call in CALLS.items():
        done = completed("sh", "-c", bound[action], env=environment, check=True)
        assert (done.stdout, done.stderr) == ("", "")
        assert fake_service.last_call() == call
    done = completed("sh", "-c", bound["prints"] + " --once", env=environment, check=True)
    assert "🔉 45%" in done.stdout


def test_the_script_for_i3blocks_prints_lines_and_does_what_clicks_say(
    tmp_path: Path, environment: dict[str, str], fake_service: FakeService
) -> None:
    config = ConfigParser()
    config.read_string(example("i3blocks"))
    assert dict(config["volume"]) == {
        "command": "~/.config/i3blocks/volume",
        "interval": "persist",
        "format": "json",
    }
    script = tmp_path / "volume"
    script.write_text(example("i3blocks", 1))
    script.chmod(0o755)
    with subprocess.Popen(
        [script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as block:
        assert json.loads(first_line(block))["full_text"] == "🔉 45%"
        assert fake_service.last_call()[0] == "Describe"
        assert block.stdin is not None
        for button, action in enumerate(("click", "middle", "right", "up", "down"), start=1):
            block.stdin.write(json.dumps({"name": "volume", "button": button}, separators=(",", ":")) + "\n")
            block.stdin.flush()
            assert fake_service.last_call() == CALLS[action]
        block.stdin.close()
        # i3blocks leaves: the script ends, and what it has started with it.
        assert block.stdout is not None
        block.stdout.close()
        block.wait(PATIENCE)


@pytest.mark.usefixtures("fake_service")
def test_the_script_for_i3blocks_shows_the_volume_where_nobody_tells_of_clicks(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    script = tmp_path / "volume"
    script.write_text(example("i3blocks", 1))
    script.chmod(0o755)
    with subprocess.Popen(
        [script], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as block:
        assert json.loads(first_line(block))["full_text"] == "🔉 45%"
        assert block.stdout is not None
        block.stdout.close()
        block.wait(PATIENCE)


@pytest.mark.usefixtures("fake_service")
@pytest.mark.parametrize("line", re.findall(r"^pwmixerctl follow.*$", PAGE, flags=re.MULTILINE))
def test_the_other_commands_run(line: str, environment: dict[str, str]) -> None:
    command = f"{line.partition('#')[0]} --once"
    done = completed("sh", "-c", command, env=environment, check=True)
    assert done.stdout.strip()


def test_the_fields_are_those_of_the_program() -> None:
    table = PAGE.partition("<!-- begin: fields -->")[2].partition("<!-- end -->")[0]
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE) == list(FIELDS)
