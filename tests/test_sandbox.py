"""What the service says of its sandbox, from what the kernel shows."""

from pathlib import Path

import pytest

from pwmixer_dbus.system.sandbox import describe


def status(folder: Path, seccomp: int, privileges: int) -> Path:
    file = folder / "status"
    file.write_text(f"Name:\tpython\nNoNewPrivs:\t{privileges}\nSeccomp:\t{seccomp}\nSeccomp_filters:\t9\n")
    return file


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every file system look read-only."""
    monkeypatch.setattr("os.ST_RDONLY", ~0)


@pytest.mark.usefixtures("held")
def test_all_of_it_is_told_as_in_force(tmp_path: Path) -> None:
    said = describe(str(tmp_path), status(tmp_path, 2, 1))
    assert said.startswith("the sandbox is in force: the home folder cannot be written, ")


def test_a_part_is_told_with_what_is_missing(tmp_path: Path) -> None:
    said = describe(str(tmp_path), status(tmp_path, 2, 1))
    assert said.startswith("the sandbox is in force only in part: ")
    assert said.endswith("; but not: the home folder cannot be written")


def test_none_of_it_is_told(tmp_path: Path) -> None:
    nothing = "the sandbox is not in force: only the unit of systemd brings it"
    assert describe(str(tmp_path), status(tmp_path, 0, 0)) == nothing
    assert describe(str(tmp_path / "missing"), tmp_path / "missing") == nothing
