from pathlib import Path

import pytest

from pwmixer_dbus.cli import main
from pwmixer_dbus.cli.config import run
from pwmixer_dbus.config.load import example, show
from pwmixer_dbus.config.schema import Document
from pwmixer_dbus.core.settings import Settings

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the user's own file, which does not exist yet; nor does its folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "pwmixer" / "config.toml"


def write(file: Path, content: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)


def test_check_says_that_a_good_file_is_fine(file: Path, capsys: Printed) -> None:
    write(file, "[volume]\nmax = 1.2\n")
    assert run("config", ["check"]) == 0
    assert capsys.readouterr() == (f"{file}: fine\n", "")


def test_check_says_that_no_file_means_the_defaults(file: Path, capsys: Printed) -> None:
    assert run("config", ["check"]) == 0
    assert capsys.readouterr() == (f"no file at {file}: the defaults are in force\n", "")


def test_check_prints_every_problem_as_an_error(file: Path, capsys: Printed) -> None:
    write(file, "[volume]\nmax = 2.0\nmaxx = 1\n")
    assert run("config", ["check"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"{file}:2: volume.max: 2.0 is too large, the highest is 1.5",
        f'{file}:3: volume.maxx: no such key; did you mean "max"?',
    ]


def test_check_takes_another_file(file: Path, tmp_path: Path, capsys: Printed) -> None:
    write(file, "not TOML")
    other = tmp_path / "other.toml"
    other.touch()
    assert run("config", ["check", "--file", str(other)]) == 0
    assert capsys.readouterr().out == f"{other}: fine\n"


def test_check_of_a_folder_says_so(capsys: Printed) -> None:
    assert run("config", ["check", "--file", "/"]) == 1
    assert capsys.readouterr().err == "/: is a folder, where a file should be\n"


def test_show_prints_the_defaults_where_there_is_no_file(file: Path, capsys: Printed) -> None:
    assert not file.exists()
    assert run("config", ["show"]) == 0
    assert capsys.readouterr() == (show(Settings()), "")


def test_show_prints_what_the_file_sets(file: Path, capsys: Printed) -> None:
    write(file, "[volume]\nmax = 1.2\n")
    assert run("config", ["show"]) == 0
    assert "max = 1.2\n" in capsys.readouterr().out


def test_show_fails_where_the_file_is_wrong(file: Path, capsys: Printed) -> None:
    write(file, "zzz = 1\n")
    assert run("config", ["show"]) == 1
    assert capsys.readouterr() == (
        "",
        f"{file}:1: zzz: no such key; here may stand {', '.join(Document.model_fields)}, rules\n",
    )


def test_path_prints_the_file_whether_it_exists_or_not(file: Path, capsys: Printed) -> None:
    assert run("config", ["path"]) == 0
    assert capsys.readouterr() == (f"{file}\n", "")


def test_init_writes_the_example_once(file: Path, capsys: Printed) -> None:
    assert run("config", ["init"]) == 0
    assert file.read_text() == example()
    assert capsys.readouterr() == (f"{file}: written, with every key at its default\n", "")
    assert run("config", ["init"]) == 1
    assert capsys.readouterr() == ("", f"{file}: exists already and is left as it is\n")


@pytest.mark.parametrize("argv", [[], ["chekc"], ["check", "extra"], ["check", "--file"], ["--what"]])
def test_wrong_usage_exits_with_2_and_a_sentence(argv: list[str], capsys: Printed) -> None:
    assert main(["config", *argv]) == 2
    told = capsys.readouterr().err
    assert told.startswith("pwmixerctl: 'config")
    assert told.count("\n") == 1


def test_help_is_no_error(capsys: Printed) -> None:
    assert run("config", ["--help"]) == 0
    assert "usage: pwmixerctl config" in capsys.readouterr().out
