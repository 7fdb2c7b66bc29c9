"""The packages hold all that belongs to an installation, and agree with the tree on version and dependencies."""

import ast
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import place
import pytest
from service import NAME, Service
from session import PATIENCE, Session, completed

from pwmixer_dbus import __version__
from pwmixer_dbus.cli.files import Scope, wanted

ROOT = Path(__file__).resolve().parents[1]
PACKAGING = ROOT / "packaging"
DATA = {str(path.relative_to(ROOT)) for path in (ROOT / "data").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Build both once, by what pip would call, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    for target in ("sdist", "wheel"):
        subprocess.run(
            (sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)),
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
    return {path.suffix: path for path in folder.iterdir()}


def dependencies() -> dict[str, str]:
    """Return what pyproject.toml asks for: the lower bound of each package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pairs = (re.fullmatch(r"([a-z-]+)>=([0-9.]+),.*", need) for need in project["dependencies"])
    return {match[1]: match[2] for match in pairs if match}


def test_the_wheel_has_all_of_the_data_and_what_install_looks_for(built: Mapping[str, Path]) -> None:
    names = set(zipfile.ZipFile(built[".whl"]).namelist())
    assert built[".whl"].name == f"pwmixer_dbus-{__version__}-py3-none-any.whl"
    assert {f"pwmixer_dbus/{name}" for name in DATA} <= names
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "pwmixer_dbus").rglob("*.py")}
    assert sources <= names


def test_install_finds_its_files_in_the_unpacked_wheel(built: Mapping[str, Path], tmp_path: Path) -> None:
    zipfile.ZipFile(built[".whl"]).extractall(tmp_path)  # noqa: S202 - it is ours
    said = completed(
        *(sys.executable, "-c", "from pwmixer_dbus.cli import main; main(['install', '--dry-run'])"),
        env={"HOME": str(tmp_path / "home"), "PATH": "/nonexistent", "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=True,
    ).stdout
    share = tmp_path / "home" / ".local" / "share"
    scope = Scope(share=share, units=share / "systemd" / "user", flag="--user")
    assert all(f"would write {path}" in said for path in wanted(scope, ("x",)))


def test_what_pip_installs_from_the_wheel_is_started_by_the_first_call(
    built: Mapping[str, Path], tmp_path: Path
) -> None:
    """As pipx does it: an environment of its own, here with the packages that are ours by the tests' environment."""
    subprocess.run(
        (sys.executable, "-m", "venv", "--without-pip", str(tmp_path)), check=True, timeout=PATIENCE
    )
    programs = tmp_path / "bin"
    pip = (sys.executable, "-m", "pip", "--python", str(programs / "python"), "--disable-pip-version-check")
    wheel = ("install", "--quiet", "--no-index", "--no-deps", str(built[".whl"]))
    subprocess.run((*pip, *wheel), check=True, timeout=PATIENCE)
    (inside,) = tmp_path.glob("lib/python*/site-packages")
    (inside / "ours.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    with Session(sound=False) as session:
        said = session.run(str(programs / "pwmixerctl"), "install")
        service = Service(session)
        assert f"write {session.env['XDG_DATA_HOME']}/dbus-1/services/org.pwmixer.Mixer.service" in said
        assert service.get("Version") == __version__
        process = service.call_daemon("GetConnectionUnixProcessID", "s", NAME)
        assert Path(f"/proc/{process}/cmdline").read_text().split("\0")[1] == str(programs / "pwmixer-dbus")
        session.run(str(programs / "pwmixerctl"), "uninstall")
        assert not list(Path(session.env["XDG_DATA_HOME"]).rglob("*pwmixer*"))
        os.kill(process, signal.SIGTERM)
        session.wait_for(lambda: not service.call_daemon("NameHasOwner", "s", NAME), "it to end")


def test_the_sdist_has_all_that_is_needed_to_build_test_and_package_it(built: Mapping[str, Path]) -> None:
    with tarfile.open(built[".gz"]) as archive:
        top, names = f"pwmixer_dbus-{__version__}", set(archive.getnames())
    folders = ("pwmixer_dbus", "data", "docs", "scripts", "tests", "benchmarks", "packaging")
    wanted_files = {
        path.relative_to(ROOT)
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert not {str(path) for path in wanted_files if f"{top}/{path}" not in names}
    assert {f"{top}/{name}" for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")} <= names


def test_a_package_gets_every_file_in_its_place(tmp_path: Path) -> None:
    subprocess.run(
        (
            sys.executable,
            str(ROOT / "scripts" / "place.py"),
            str(tmp_path),
            "--zsh=share/zsh/vendor-completions",
        ),
        check=True,
        timeout=PATIENCE,
    )
    usr = tmp_path / "usr"
    placed = {str(path.relative_to(usr)) for path in usr.rglob("*") if path.is_file()}
    for data in DATA:
        folder, name = data.removeprefix("data/").rsplit("/", 1)
        home = {"systemd/user": "lib/systemd/user", "readers": "share/pwmixer/readers"}
        assert f"{home.get(folder, f'share/{folder}')}/{name}" in placed
    assert "share/pwmixer/readers/pwmixer_shm.py" in placed
    assert "share/zsh/vendor-completions/_pwmixerctl" in placed
    assert not any(name.startswith("share/zsh/site-functions") for name in placed)
    assert (usr / "lib/systemd/user/pwmixer-dbus.service").read_text(encoding="utf-8") == (
        ROOT / "data/systemd/user/pwmixer-dbus.service"
    ).read_text(encoding="utf-8")


def test_a_package_elsewhere_names_its_own_program() -> None:
    files = place.places(Path("/"), "/store/bin/pwmixer-dbus")
    unit = files[Path("/lib/systemd/user/pwmixer-dbus.service")]
    activation = files[Path("/share/dbus-1/services/org.pwmixer.Mixer.service")]
    assert "\nExecStart=/store/bin/pwmixer-dbus\n" in unit
    assert "\nExec=/store/bin/pwmixer-dbus\n" in activation


def test_every_version_is_that_of_the_package() -> None:
    """Where it is not filled in (@VERSION@, or read by Nix), it has to be the same."""
    for file in ("arch/PKGBUILD", "rpm/pwmixer-dbus.spec"):
        text = (PACKAGING / file).read_text(encoding="utf-8")
        assert re.findall(r"^(?:pkgver=|Version: +)(.*)$", text, re.MULTILINE) == ["@VERSION@"], file
    metainfo = ET.parse(next((ROOT / "data" / "metainfo").iterdir()))  # noqa: S314 - it is ours
    release = metainfo.find("releases/release")
    assert release is not None
    assert release.get("version") == __version__
    assert "readFile ../../pwmixer_dbus/__init__.py" in (PACKAGING / "nix/package.nix").read_text(
        encoding="utf-8"
    )
    assert not (PACKAGING / "debian" / "changelog").exists()  # scripts/package writes it


def test_every_package_asks_for_what_the_service_depends_on() -> None:
    control = (PACKAGING / "debian/control").read_text(encoding="utf-8")
    pkgbuild = (PACKAGING / "arch/PKGBUILD").read_text(encoding="utf-8")
    nix = (PACKAGING / "nix/package.nix").read_text(encoding="utf-8")
    needs = dependencies()
    assert len(needs) == 5
    for name, bound in needs.items():
        if name != "pulsectl-asyncio":  # which Debian does not have: the source package brings it
            assert f"\n python3-{name} (>= {bound}),\n" in control.partition("\nPackage:")[2]
        assert f"'python-{name}'" in pkgbuild
        assert re.search(rf"^    {name}$", nix, re.MULTILINE)


def test_the_spec_lists_every_file_that_is_placed() -> None:
    spec = (PACKAGING / "rpm/pwmixer-dbus.spec").read_text(encoding="utf-8")
    macros = {
        "%{_userunitdir}": "/usr/lib/systemd/user",
        "%{_datadir}": "/usr/share",
        "%{_mandir}": "/usr/share/man",
        "%{_bindir}": "/usr/bin",
    }
    for macro, folder in macros.items():
        spec = spec.replace(macro, folder)
    listed = [line for line in spec.splitlines() if line.startswith("/usr/")]
    for path in place.places(Path("/usr"), "/usr/bin/pwmixer-dbus"):
        assert any(
            path.match(line.rstrip("*") + "*") or (line.endswith("/") and str(path).startswith(line))
            for line in listed
        ), path


def test_debians_programs_run_what_the_entry_points_run() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, target in project["scripts"].items():
        tree = ast.parse((PACKAGING / "debian/bin" / name).read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert [f"{node.module}:{node.names[0].name}" for node in imports] == [target]
