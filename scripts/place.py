#!/usr/bin/env python3
"""Put what is no Python into its places, for a distribution's package.

That is: units, activation, interfaces, completions, manual pages, readers of shared memory and the AppStream file.

    scripts/place.py DESTDIR [--prefix=/usr] [--program=/usr/bin/pwmixer-dbus] [--zsh=share/zsh/site-functions]

What belongs to an installation is decided in pwmixer_dbus/cli/files.py alone, for people and packages alike. It needs
platformdirs of what the service depends on, and nothing else.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pwmixer_dbus.cli.files import Scope, wanted  # noqa: E402 - found by the line above

_ZSH = "share/zsh/site-functions"
_READERS = "share/pwmixer/readers"


def places(prefix: Path, program: str, zsh: str = _ZSH) -> Mapping[Path, str]:
    """Return every file below `prefix`, with its text; `zsh` is the folder of completions that a distribution's zsh reads."""
    scope = Scope(share=prefix / "share", units=prefix / "lib" / "systemd" / "user", flag="--global")
    found = {
        prefix / zsh / path.name if path.parent == prefix / _ZSH else path: text
        for path, text in wanted(scope, (program,)).items()
    }
    files = {prefix / _READERS / file.name: file for file in (ROOT / "data" / "readers").iterdir()}
    files[prefix / _READERS / "pwmixer_shm.py"] = ROOT / "pwmixer_dbus" / "outlets" / "shm" / "reader.py"
    for file in (ROOT / "data" / "metainfo").iterdir():
        files[prefix / "share" / "metainfo" / file.name] = file
    return found | {path: file.read_text(encoding="utf-8") for path, file in files.items()}


def main() -> None:
    """Write every file below DESTDIR."""
    parser = argparse.ArgumentParser(description="Put what is no Python into its places for a package.")
    parser.add_argument("destdir", type=Path)
    parser.add_argument("--prefix", type=Path, default=Path("/usr"))
    parser.add_argument("--program", default="/usr/bin/pwmixer-dbus")
    parser.add_argument("--zsh", default=_ZSH)
    chosen = parser.parse_args()
    for path, text in places(chosen.prefix, chosen.program, chosen.zsh).items():
        place = chosen.destdir / path.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(0o644)


if __name__ == "__main__":
    main()
