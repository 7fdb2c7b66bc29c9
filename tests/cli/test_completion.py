"""Completion in the real shells, with what lives on the bus: TAB in bash and zsh on a terminal, `complete -C` in fish."""

import os
import pty
import select
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_rig import Ctl
from session import PATIENCE, completed

Words = Callable[..., list[str]]

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
READY = {
    "bash": "PS1='ready> '; bind 'set enable-bracketed-paste off'; source <(pwmixerctl completion bash)",
    "zsh": "PS1='ready> '; unset zle_bracketed_paste; unsetopt prompt_sp; autoload -Uz compinit; compinit -D -u; "
    "source <(pwmixerctl completion zsh)",
}


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        assert shutil.which(name), f"{name} has to be installed: completion is tested in the real shells"
        self.process, self.screen = 0, ""
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execvpe(name, SHELLS[name], {**environment, "TERM": "dumb", "COLUMNS": "200"})  # noqa: S606

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read until a text shows up."""
        end = time.monotonic() + PATIENCE
        while text not in self.screen:
            readable, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert readable, f"{text!r} did not show up in {self.screen!r}"
            self.screen += os.read(self.terminal, 4096).decode(errors="replace")
        self.screen = self.screen.partition(text)[2]

    def close(self) -> None:
        os.kill(self.process, signal.SIGKILL)  # a zsh whose terminal has gone may turn for ever
        os.close(self.terminal)
        os.waitpid(self.process, 0)


@pytest.fixture
def words(ctl: Ctl) -> Words:
    """Return a function that completes words, and gives the candidates without their meanings."""
    return lambda *given: [
        line.partition("\t")[0] for line in ctl("complete-words", "--", *given).stdout.splitlines()
    ]


@pytest.mark.usefixtures("fake_service")
def test_words_become_commands_targets_options_and_choices(words: Words) -> None:
    assert words("u") == ["up", "unmute", "undo", "unlock", "uninstall"]
    assert words("get", "@") == ["@sink", "@source"]
    assert words("get", "app:") == ["app:bin:firefox", "app:name:my sdl game"]
    assert words("get", "app:fi") == words("get", "app:Fi") == ["app:firefox"]
    assert words("move", "app:my") == ["app:my sdl game"]
    assert words("get", "app:firefox ") == []
    assert words("get", "g") == words("move", "g") == ["group:Music"]
    assert words("explain", "") == ["stream:5", "stream:6"]
    assert words("move", "stream:5", "sink:") == ["sink:speakers", "sink:usb.dac"]
    assert words("port", "@sink", "") == ["analog-output-headphones", "analog-output-speaker"]
    assert words("profile", "card:pci", "o") == ["output:analog-stereo", "off"]
    assert words("list", "s") == ["streams", "sinks", "sources"]
    assert words("status", "--color", "a") == ["auto", "always"]
    assert words("up", "--") == ["--limit", "--quiet", "--no-osd", "--help"]
    assert words("get", "--format", "x", "@so") == ["@source"]
    assert words("waybar", "--target", "@so") == ["@source"]
    assert words("help", "bar") == ["bars"]
    assert words("rules", "test", "--") == ["--on", "--file", "--json", "--help"]
    assert words("rules", "add", "--m") == ["--match", "--max-volume", "--muted"]
    assert words("rules", "sing", "--") == words("rules", "--") == ["--help"]
    assert words("config", "check", "--") == ["--file", "--help"]
    assert words("reload", "") == []
    assert words("nonsense", "") == []


def test_rules_and_files_become_words_without_a_service(ctl: Ctl, tmp_path: Path) -> None:
    folder = tmp_path / "pwmixer"
    folder.mkdir()
    rules = '[[rules]]\nname = "{}"\nmatch.app = "a"\n'
    (folder / "rules.toml").write_text(rules.format("Music") + rules.format("Mine: all"))

    def words(*given: str) -> list[str]:
        result = ctl("complete-words", "--", *given, XDG_CONFIG_HOME=str(tmp_path))
        assert result.stderr == ""
        return [line.partition("\t")[0] for line in result.stdout.splitlines()]

    assert words("rules", "remove", "M") == ["Music", "Mine: all"]
    assert words("rules", "move", "Mu") == ["Music"]
    assert words("rules", "move", "Music", "") == []
    assert words("import", "wi") == ["wireplumber"]
    assert words("import", f"{folder}/r") == [f"{folder}/rules.toml"]
    assert words("import", "wireplumber", f"{tmp_path}/p") == [f"{folder}/"]
    (folder / "rules.toml").write_text("nonsense")
    assert words("rules", "remove", "") == []


def test_without_a_service_completion_is_quiet(ctl: Ctl) -> None:
    result = ctl("complete-words", "--", "get", "sink:")
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.usefixtures("fake_service")
@pytest.mark.parametrize("name", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("pwmixerctl statu", "pwmixerctl status"),
        ("pwmixerctl get sink:us", "pwmixerctl get sink:usb.dac"),
        ("pwmixerctl get app:bi", "pwmixerctl get app:bin:firefox"),
        ("pwmixerctl get app:n", r"pwmixerctl get app:name:my\ sdl\ game"),
        ("pwmixerctl get @si", "pwmixerctl get @sink"),
        ("pwmixerctl profile card:pci out", "pwmixerctl profile card:pci output:analog-stereo"),
    ],
)
def test_tab_completes_in_the_shell(
    environment: dict[str, str], name: str, typed: str, completed: str
) -> None:
    shell = Shell(name, environment)
    try:
        shell.type(f"{READY[name]}; echo se''t\n")
        shell.wait_for("set\r\n")
        shell.wait_for("ready> ")
        shell.type(f"{typed}\t")
        shell.wait_for(completed)
    finally:
        shell.close()


@pytest.mark.usefixtures("fake_service")
def test_fish_completes_with_meanings(environment: dict[str, str]) -> None:
    assert shutil.which("fish"), "fish has to be installed: completion is tested in the real shells"

    def complete(line: str) -> list[str]:
        script = f"pwmixerctl completion fish | source; complete -C '{line}'"
        command = ["fish", "--no-config", "-c", script]
        return completed(*command, env=environment, check=True).stdout.splitlines()

    assert complete("pwmixerctl get sink:") == ["sink:speakers\tSpeakers", "sink:usb.dac\tUSB DAC 日本語"]
    assert complete("pwmixerctl get @si") == ["@sink\tthe default output"]
    assert "status\tshow outputs, inputs and applications with their volumes" in complete("pwmixerctl ")
    assert complete("pwmixerctl move stream:5 sink:u") == ["sink:usb.dac\tUSB DAC 日本語"]
