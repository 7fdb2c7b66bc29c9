#!/usr/bin/env python3
"""Write the tables of keys in docs/configuration.md from the schema. Run it after a change of the schema."""

from pathlib import Path

from pwmixer_dbus.config.errors import key_text
from pwmixer_dbus.config.schema import keys
from pwmixer_dbus.core import rules
from pwmixer_dbus.core.words import value_text

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
BEGIN = "<!-- begin: {} written by scripts/gen_config_docs.py -->\n"
END = "<!-- end -->\n"


def documented(page: str) -> str:
    """Put the present tables of keys between the markers of a page."""
    tables = {"keys": _keys(), "keys of a rule": _rule_keys(), "conditions": _conditions()}
    for name, table in tables.items():
        begin = BEGIN.format(name)
        before, rest = page.split(begin)
        _, after = rest.split(END, 1)
        page = before + begin + "\n".join(table) + "\n" + END + after
    return page


def _keys() -> list[str]:
    rows = ["| Key | Default | Allowed | Meaning |", "|---|---|---|---|"]
    for key in keys():
        default = "empty" if key.default == {} else f"`{value_text(key.default)}`"
        rows.append(f"| `{key_text(key.path)}` | {default} | {key.allowed} | {key.description} |")
    return rows


def _rule_keys() -> list[str]:
    rows = ["| Key | Allowed | Meaning |", "|---|---|---|"]
    return rows + [f"| `{key.key}` | {key.allowed} | {key.description} |" for key in rules.KEYS]


def _conditions() -> list[str]:
    rows = ["| Under `match` | What it is |", "|---|---|"]
    return rows + [f"| `{name}` | {meaning} |" for name, meaning in rules.FIELDS.items()]


if __name__ == "__main__":
    PAGE.write_text(documented(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
