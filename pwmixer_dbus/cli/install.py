"""`pwmixerctl install` and `uninstall`: files into their places and out again, each told in a line.

The rule of this file: only what is as we have written it is ever changed or taken away. What was written is kept in a
list beside it, with the folders that were made for it.
"""

import compileall
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pwmixer_dbus.cli import DONE, REFUSED, CommandError, UnreachableError, UsageError, systemd, wire
from pwmixer_dbus.cli.files import (
    PACKAGE,
    UNITS,
    Scope,
    packaged,
    service_program,
    system_scope,
    user_scope,
    wanted,
)
from pwmixer_dbus.config.paths import state_home
from pwmixer_dbus.startup import bundle


@dataclass(slots=True, kw_only=True)
class Installed:
    """The list of what was installed: a digest for each file, and the folders that were made."""

    files: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


def run(name: str, options: dict[str, str], _arguments: list[str]) -> int:
    """Run one of the two commands; 1 where something is left that is not ours. Raises CommandError."""
    if "--system" in options and "--user" in options:
        raise UsageError("--user and --system exclude each other.")
    root = Path(os.environ.get("DESTDIR") or "/")
    scope = system_scope(root) if "--system" in options else user_scope()
    step = _Steps(is_rehearsal="--dry-run" in options)
    try:
        if name == "install":
            _install(scope, step, beside=() if "--force" in options else packaged(root))
        else:
            _uninstall(scope, step, is_purge="--purge" in options)
    except PermissionError as error:
        raise CommandError(f"{error.filename} cannot be written; run this as an administrator.") from error
    except OSError as error:
        if error.filename is None:  # not about a file: whoever reads what we print has gone
            raise
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    return REFUSED if step.is_hindered else DONE


class _Steps:
    """Tells each step, and takes it unless this is a rehearsal."""

    def __init__(self, *, is_rehearsal: bool) -> None:
        self.is_rehearsal = is_rehearsal
        self.is_hindered = False
        self.changes = 0

    def take(self, what: str, action: Callable[[], object]) -> None:
        """Tell a step and take it."""
        self.changes += 1
        print(f"would {what}" if self.is_rehearsal else what)
        if not self.is_rehearsal:
            action()

    def systemctl(self, *words: str, else_say: str = "") -> None:
        """Tell and run systemctl; a failure is told, and hinders nothing that follows."""

        def ask() -> None:
            if problem := systemd.systemctl(*words):
                self.hinder(f"{problem.rstrip('.')}; {else_say}" if else_say else problem)

        self.take(f"run systemctl {' '.join(words)}", ask)

    def hinder(self, why: str) -> None:
        """Tell what could not be done."""
        self.is_hindered = True
        print(f"  {why}")


def _install(scope: Scope, step: _Steps, *, beside: tuple[Path, ...]) -> None:
    ours, now = _read(scope.manifest), wanted(scope, service_program())
    if beside:
        raise CommandError(
            f"A package has installed the service already ({beside[0]}); "
            "remove the package first, or put this one before it with --force."
        )
    _compile(step)
    try:
        _put(now, ours, step)
        for name in [name for name in ours.files if Path(name) not in now]:
            _remove(Path(name), ours.files.pop(name), step)
    finally:  # what could be done before a failure is ours, too
        if step.changes and not step.is_rehearsal:
            _make_folder(scope.manifest.parent, ours.folders)
            text = json.dumps({"files": ours.files, "folders": ours.folders}, indent=1) + "\n"
            _write(scope.manifest, text, ours.folders)
    _start(scope, step)


def _put(now: Mapping[Path, str], ours: Installed, step: _Steps) -> None:
    """Write what is missing and what is no longer right; what is right without us stays whoever's it is."""
    unchanged = 0
    for path, text in now.items():
        there = _digest_of(path)
        if there == _digest(text):
            unchanged += 1
        elif there is None or there == ours.files.get(str(path)):
            step.take(f"write {path}", partial(_write, path, text, ours.folders))
            ours.files[str(path)] = _digest(text)
        else:
            step.hinder(f"{path} is not as we have written it, and stays; move it away and install again")
    if unchanged:
        print(f"Files that are as they should be: {unchanged} of {len(now)}.")


def _start(scope: Scope, step: _Steps) -> None:
    if os.environ.get("DESTDIR"):
        return  # it is somebody else's tree
    if scope.flag == "--global":
        if systemd.systemctl("--global", "is-enabled", *UNITS) is not None:
            step.systemctl("--global", "enable", *UNITS)
        print("Each session has it from its next login on, or from the first call.")
        return
    _tell_bus(step)
    if not systemd.is_there():
        print(
            "There is no systemd of yours here: the session bus starts the service when it is first called."
        )
        return
    has_changed = step.changes > 0
    is_running = systemd.properties(UNITS[0]).get("ActiveState") == "active"
    if has_changed:
        step.systemctl("--user", "daemon-reload")
    is_enabled = all(systemd.properties(unit).get("UnitFileState") == "enabled" for unit in UNITS)
    if not is_enabled:
        step.systemctl(
            "--user", "enable", *UNITS, else_say="if a unit is masked: systemctl --user unmask UNIT"
        )
    if is_running and has_changed:
        step.systemctl("--user", "restart", UNITS[0], else_say="'pwmixerctl doctor' may know why")
    elif not is_running:
        step.systemctl("--user", "start", *reversed(UNITS), else_say="'pwmixerctl doctor' may know why")


def _uninstall(scope: Scope, step: _Steps, *, is_purge: bool) -> None:
    installed = _read(scope.manifest)
    if installed.files:
        _stop(scope, step)
    else:
        print(f"There is nothing in {scope.share} that 'pwmixerctl install' has written.")
    for name, digest in installed.files.items():
        _remove(Path(name), digest, step)
    if installed.files and not step.is_rehearsal:
        scope.manifest.unlink()
        for folder in sorted(installed.folders, key=len, reverse=True):
            if Path(folder).is_dir() and not any(Path(folder).iterdir()):
                Path(folder).rmdir()
    if installed.files and scope.flag == "--user":
        _tell_bus(step)
        if systemd.is_there():
            step.systemctl("--user", "daemon-reload")
    cache = bundle.folder_of(os.environ)
    if cache and (compiled := Path(cache, bundle.NAME)).exists():
        step.take(f"remove {compiled}", compiled.unlink)
    state = state_home() / "pwmixer"
    if is_purge and state.exists():
        step.take(f"remove {state}, with all that was remembered", lambda: shutil.rmtree(state))


def _stop(scope: Scope, step: _Steps) -> None:
    if scope.flag == "--user" and systemd.is_there():
        step.systemctl("--user", "disable", "--now", *UNITS)
    elif scope.flag == "--global" and not os.environ.get("DESTDIR"):
        step.systemctl("--global", "disable", *UNITS)


def _remove(path: Path, digest: str, step: _Steps) -> None:
    there = _digest_of(path)
    if there == digest:
        step.take(f"remove {path}", path.unlink)
    elif there is not None:
        step.hinder(f"{path} is not as we have written it, and stays")


def _compile(step: _Steps) -> None:
    """Have Python's own files made now: the service may not write them, and without them starts half as fast."""
    if os.access(PACKAGE, os.W_OK) and not step.is_rehearsal:
        compileall.compile_dir(PACKAGE, quiet=2)


def _tell_bus(step: _Steps) -> None:
    """Have the session bus look at its files again; it does so by itself only where the folder was there before."""
    if step.is_rehearsal:
        return
    try:
        with wire.Connection() as bus:
            bus.call("ReloadConfig", to=wire.BUS)
    except UnreachableError:
        print("There is no session bus here; the next one will know of it.")


def _read(manifest: Path) -> Installed:
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        return Installed(files=dict(found["files"]), folders=list(found["folders"]))
    except FileNotFoundError:
        return Installed()
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{manifest} cannot be understood; remove it and install again.") from error


def _write(path: Path, text: str, made: list[str]) -> None:
    """Write a file, whole or not at all, and note the folders that had to be made."""
    _make_folder(path.parent, made)
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _make_folder(folder: Path, made: list[str]) -> None:
    made += [str(new) for new in (folder, *folder.parents) if not new.exists()]
    folder.mkdir(parents=True, exist_ok=True)


def _digest_of(path: Path) -> str | None:
    """Return what a file is; None where there is none. A link is never ours."""
    if path.is_symlink():
        return "a link"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
