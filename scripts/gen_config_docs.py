#!/usr/bin/env python3
"""Write the table of keys in docs/configuration.md from the schema. Run it after a change of the schema."""

from pathlib import Path

from pwmixer_dbus.config.errors import key_text, value_text
from pwmixer_dbus.config.schema import keys

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
BEGIN = "<!-- begin: written by scripts/gen_config_docs.py -->\n"
END = "<!-- end -->\n"


def documented(page: str) -> str:
    """Put the present table of keys between the markers of a page."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + _table() + END + after


def _table() -> str:
    rows = ["| Key | Default | Allowed | Meaning |", "|---|---|---|---|"]
    for key in keys():
        default = "empty" if key.default == {} else f"`{value_text(key.default)}`"
        rows.append(f"| `{key_text(key.path)}` | {default} | {key.allowed} | {key.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(documented(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
