"""Installing, mending and removing, in a home of its own and with a systemctl that only notes what it is told."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from session import completed

from pwmixer_dbus.cli.doctor import twice
from pwmixer_dbus.cli.files import program_of, service_program, user_scope, wanted
from pwmixer_dbus.startup import bundle

ROOT = Path(__file__).parents[2]
SYSTEMCTL = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
  *show-environment*) exit {there} ;;
  *show*) cat {log}.state 2>/dev/null ;;
  *{failing}*) echo "Unit pwmixer-dbus.service is masked." >&2; exit 1 ;;
esac
"""


class Home:
    """A home with nothing in it, a program `pwmixerctl` to run there, and what systemctl was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.share = folder / "home" / ".local" / "share"
        self.log = folder / "systemctl.log"
        self.bin = folder / "bin with space"
        for new in (self.bin, folder / "home"):
            new.mkdir()
        for name, module in (("pwmixerctl", "cli"), ("pwmixer-dbus", "daemon")):
            self.program(name).write_text(
                f"#!{sys.executable}\nimport sys\nfrom pwmixer_dbus.{module} import main\nsys.exit(main())\n"
            )
            self.program(name).chmod(0o755)
        self.set_systemctl()

    def program(self, name: str) -> Path:
        return self.bin / name

    def set_systemctl(self, *, is_there: bool = True, failing: str = "nothing") -> None:
        script = self.bin / "systemctl"
        script.write_text(SYSTEMCTL.format(log=self.log, there=0 if is_there else 1, failing=failing))
        script.chmod(0o755)

    def set_state(self, **properties: str) -> None:
        """Say what `systemctl show` answers."""
        text = "".join(f"{name}={value}\n" for name, value in properties.items())
        self.log.with_name(f"{self.log.name}.state").write_text(text)

    def told(self) -> list[str]:
        """Return what systemctl was told to do since the last time, without what it was only asked."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if "show" not in line]

    def run(self, *words: str, expect: int = 0, **variables: str) -> str:
        done = completed(
            str(self.program("pwmixerctl")),
            *words,
            env={
                "PATH": f"{self.bin}:/usr/bin:/bin",
                "HOME": str(self.folder / "home"),
                "PYTHONPATH": str(ROOT),
                "XDG_RUNTIME_DIR": str(self.folder),
                "XDG_DATA_DIRS": str(self.folder / "no-package"),
                **variables,
            },
        )
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def files(self) -> Mapping[str, bytes]:
        home = self.folder / "home"
        return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_all_is_put_where_it_is_looked_for_and_is_taken_away_again(home: Home) -> None:
    before = home.files()
    home.run("install")
    share = home.share
    for place in (
        "systemd/user/pwmixer-dbus.service",
        "systemd/user/pwmixer-dbus.socket",
        "dbus-1/services/org.pwmixer.Mixer.service",
        "dbus-1/interfaces/org.pwmixer.Mixer.xml",
        "bash-completion/completions/pwmixerctl",
        "zsh/site-functions/_pwmixerctl",
        "fish/vendor_completions.d/pwmixerctl.fish",
        "man/man1/pwmixerctl.1",
        "man/man8/pwmixer-dbus.8",
    ):
        assert (share / place).stat().st_size > 0
    assert home.told() == [
        "--user daemon-reload",
        "--user enable pwmixer-dbus.service pwmixer-dbus.socket",
        "--user start pwmixer-dbus.socket pwmixer-dbus.service",
    ]
    home.run("uninstall")
    assert home.told() == [
        "--user disable --now pwmixer-dbus.service pwmixer-dbus.socket",
        "--user daemon-reload",
    ]
    assert home.files() == before
    assert list((home.folder / "home").iterdir()) == []


def test_doing_it_again_changes_nothing(home: Home) -> None:
    home.run("install")
    home.told()
    before = home.files()
    home.set_state(ActiveState="active", UnitFileState="enabled")
    assert "write" not in home.run("install")
    assert (home.told(), home.files()) == ([], before)
    home.run("uninstall")
    home.told()
    assert (
        home.run("uninstall") == f"There is nothing in {home.share} that 'pwmixerctl install' has written.\n"
    )
    assert home.told() == []


def test_a_rehearsal_says_all_and_does_nothing(home: Home) -> None:
    said = home.run("install", "--dry-run")
    assert f"would write {home.share}/systemd/user/pwmixer-dbus.service" in said
    assert "would run systemctl --user enable" in said
    assert (home.told(), home.files()) == ([], {})
    home.run("install")
    home.told()
    before = home.files()
    foretold = home.run("uninstall", "--dry-run")
    assert (home.told(), home.files()) == ([], before)
    done = home.run("uninstall").replace("There is no session bus here; the next one will know of it.\n", "")
    assert done == foretold.replace("would ", "")


def test_a_service_that_runs_is_started_anew_only_where_something_is_new(home: Home) -> None:
    home.run("install")
    home.set_state(ActiveState="active", UnitFileState="enabled")
    home.told()
    (home.share / "man" / "man1" / "pwmixerctl.1").unlink()
    home.run("install")
    assert home.told() == ["--user daemon-reload", "--user restart pwmixer-dbus.service"]


def test_it_mends_itself_when_python_has_moved(home: Home, tmp_path: Path) -> None:
    home.run("install")
    unit = home.share / "systemd" / "user" / "pwmixer-dbus.service"
    assert program_of(unit.read_text()) == str(home.program("pwmixer-dbus"))
    old, home.bin = home.bin, tmp_path / "moved"
    shutil.move(old, home.bin)
    said = home.run("install")
    assert f"write {unit}" in said
    assert program_of(unit.read_text()) == str(home.program("pwmixer-dbus"))
    activation = home.share / "dbus-1" / "services" / "org.pwmixer.Mixer.service"
    assert f"Exec={home.program('pwmixer-dbus')}\n" in activation.read_text()


def test_what_a_person_has_changed_stays(home: Home) -> None:
    home.run("install")
    unit = home.share / "systemd" / "user" / "pwmixer-dbus.service"
    mine = unit.read_text() + "Nice=5\n"
    unit.write_text(mine)
    assert f"{unit} is not as we have written it" in home.run("install", expect=1)
    assert f"{unit} is not as we have written it" in home.run("uninstall", expect=1)
    assert unit.read_text() == mine


def test_a_file_of_somebody_else_is_not_replaced(home: Home) -> None:
    theirs = home.share / "dbus-1" / "services" / "org.pwmixer.Mixer.service"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("[D-BUS Service]\nName=org.pwmixer.Mixer\nExec=/opt/mixer\n")
    home.run("install", expect=1)
    home.run("uninstall")
    assert "/opt/mixer" in theirs.read_text()


def test_a_link_of_somebody_is_neither_replaced_nor_written_through(home: Home) -> None:
    unit, theirs = home.share / "systemd" / "user" / "pwmixer-dbus.service", home.folder / "theirs"
    unit.parent.mkdir(parents=True)
    theirs.touch()
    for target in (theirs, home.folder / "nowhere"):
        unit.symlink_to(target)
        assert f"{unit} is not as we have written it" in home.run("install", expect=1)
        home.run("uninstall")
        assert unit.readlink() == target
        unit.unlink()
    assert theirs.read_bytes() == b""


PACKAGED = ("lib/systemd/user/pwmixer-dbus.service", "share/dbus-1/services/org.pwmixer.Mixer.service")


@pytest.mark.parametrize("place", PACKAGED)
def test_what_a_package_has_installed_is_not_installed_besides(
    home: Home, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "usr" / place
    theirs.parent.mkdir(parents=True)
    theirs.write_text("of a package")
    folders = f"{home.share}:{tmp_path}/usr/share"
    for words in (("install",), ("install", "--dry-run")):
        said = home.run(*words, expect=1, XDG_DATA_DIRS=folders)
        assert said == (
            f"pwmixerctl: A package has installed the service already ({theirs}); "
            "remove the package first, or put this one before it with --force.\n"
        )
    assert (home.told(), home.files()) == ([], {})
    monkeypatch.setenv("XDG_DATA_HOME", str(home.share))
    monkeypatch.setenv("XDG_DATA_DIRS", folders)
    assert twice() is None
    home.run("install", "--force", XDG_DATA_DIRS=folders)
    assert twice() == (home.share / "systemd" / "user" / "pwmixer-dbus.service", theirs)
    home.run("uninstall", XDG_DATA_DIRS=folders)
    assert twice() is None
    assert (home.files(), theirs.read_text()) == ({}, "of a package")


def test_a_package_in_the_tree_that_is_built_counts_and_the_one_of_this_machine_does_not(
    home: Home, tmp_path: Path
) -> None:
    root, here = tmp_path / "root", tmp_path / "here"
    for prefix in (root, here):
        (prefix / "usr" / "share" / "dbus-1" / "services").mkdir(parents=True)
    (here / "usr" / PACKAGED[1]).write_text("of a package")
    home.run("install", "--system", DESTDIR=str(root), XDG_DATA_DIRS=f"{here}/usr/share")
    (root / "usr" / PACKAGED[1]).write_text("of a package")
    assert "--force" in home.run("install", "--system", expect=1, DESTDIR=str(root))


def test_what_was_there_before_us_and_is_the_same_stays_when_we_go(home: Home) -> None:
    theirs = home.share / "dbus-1" / "interfaces" / "org.pwmixer.Mixer.xml"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes((ROOT / "data" / "dbus-1" / "interfaces" / "org.pwmixer.Mixer.xml").read_bytes())
    home.run("install")
    home.run("uninstall")
    assert theirs.is_file()


def test_what_was_written_before_a_failure_is_taken_away_too(home: Home) -> None:
    (home.share / "man").parent.mkdir(parents=True)
    (home.share / "man").write_text("a file where a folder should be")
    home.run("install", expect=1)
    assert (home.share / "systemd" / "user" / "pwmixer-dbus.service").exists()
    home.run("uninstall")
    assert [path.name for path in home.share.rglob("*")] == ["man"]


def test_what_an_older_version_has_installed_goes(home: Home) -> None:
    home.run("install")
    manifest = home.share / "pwmixer" / "installed.json"
    listed = json.loads(manifest.read_text())
    relic = home.share / "man" / "man1" / "pwmixer-old.1"
    relic.write_text("old")
    listed["files"][str(relic)] = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"
    manifest.write_text(json.dumps(listed))
    assert f"remove {relic}" in home.run("install")
    assert not relic.exists()


def test_what_is_remembered_goes_only_with_purge(home: Home) -> None:
    state = home.folder / "home" / ".local" / "state" / "pwmixer" / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    home.run("install")
    home.run("uninstall")
    assert state.exists()
    assert "remembered" in home.run("uninstall", "--purge")
    assert not state.parent.exists()


def test_what_the_service_has_compiled_goes_with_it(home: Home) -> None:
    file = home.folder / "home" / ".cache" / "pwmixer" / bundle.NAME
    file.parent.mkdir(parents=True)
    file.write_text("")
    home.run("install")
    assert f"would remove {file}" in home.run("uninstall", "--dry-run")
    assert file.exists()
    home.run("uninstall")
    assert not file.exists()


def test_without_systemd_the_files_are_enough(home: Home) -> None:
    home.set_systemctl(is_there=False)
    assert "There is no systemd of yours here" in home.run("install")
    (home.bin / "systemctl").unlink()
    home.run("uninstall", PATH=str(home.bin))
    assert home.files() == {}


def test_a_masked_unit_is_told_and_the_rest_is_done(home: Home) -> None:
    home.set_systemctl(failing="enable")
    said = home.run("install", expect=1)
    assert "Unit pwmixer-dbus.service is masked; if a unit is masked:" in said
    assert "systemctl --user unmask" in said


def test_for_everybody_it_goes_below_usr_local(home: Home, tmp_path: Path) -> None:
    home.run("install", "--system", DESTDIR=str(tmp_path / "root"))
    local = tmp_path / "root" / "usr" / "local"
    assert (local / "lib" / "systemd" / "user" / "pwmixer-dbus.service").is_file()
    assert (local / "share" / "dbus-1" / "services" / "org.pwmixer.Mixer.service").is_file()
    home.run("uninstall", "--system", DESTDIR=str(tmp_path / "root"))
    assert not (tmp_path / "root" / "usr").exists()
    assert home.told() == []


def test_two_scopes_at_once_are_refused(home: Home) -> None:
    assert "exclude each other" in home.run("install", "--system", "--user", expect=2)


@pytest.mark.parametrize("name", ["plain", "with space", "100%", "a$b", "(odd) & so; on"])
def test_any_path_comes_through_systemd_and_back(name: str, tmp_path: Path) -> None:
    program = tmp_path / name / "pwmixer-dbus"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    scope = user_scope()
    unit = wanted(scope, (str(program),))[scope.units / "pwmixer-dbus.service"]
    assert program_of(unit) == str(program)
    copy = tmp_path / "pwmixer-dbus.service"
    copy.write_text(unit)
    verify = ("systemd-analyze", "--user", "--man=no", "verify", str(copy))
    done = completed(*verify, env=_verifying(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def _verifying(folder: Path) -> Mapping[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}


def test_the_program_is_the_one_beside_us_else_this_python(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", [str(home.program("pwmixerctl"))])
    assert service_program() == (str(home.program("pwmixer-dbus")),)
    nowhere: Callable[..., str] = lambda *_: str(tmp_path / "nowhere")  # noqa: E731 - it stands for a function
    monkeypatch.setattr("sysconfig.get_path", nowhere)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "cli" / "__main__.py")])
    assert service_program() == (sys.executable, "-m", "pwmixer_dbus.start")
    assert os.access(sys.executable, os.X_OK)
