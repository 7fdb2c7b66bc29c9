"""Templates for `--format`: which fields a record has, and how they are put into a line.

The fields are those of `Describe`, as they are named there, and the few below that people want ready-made.
"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from pwmixer_dbus.cli import UsageError, printable
from pwmixer_dbus.cli.change import percent

Record = Mapping[str, Any]
Field = str | int | float

_WIDEST = 3  # digits of a width
_ESCAPES = (("\\t", "\t"), ("\\n", "\n"))


def fill(template: str, record: Record) -> str:
    r"""Fill a template such as `{app_name:<20} {percent}%`; \t and \n stand for tab and line end. Raises UsageError."""
    for escape, character in _ESCAPES:
        template = template.replace(escape, character)
    return put(template, fields_of(record))


def put(template: str, fields: Mapping[str, Field]) -> str:
    """Put fields into a template as `str.format` does, but for its ways into a value. Raises UsageError."""
    try:
        _refuse_ways_in(template)
        return template.format_map(fields)
    except KeyError as error:
        raise UsageError(f"There is no field {error}; there are {', '.join(fields)}.") from None
    except (ValueError, AttributeError, IndexError, TypeError) as error:
        raise UsageError(f"The template '{template}' cannot be filled: {error}.") from None


def _refuse_ways_in(template: str) -> None:
    for _, name, spec, _ in Formatter().parse(template):
        if name and not name.replace("_", "a").isalnum():
            raise UsageError(f"'{{{name}}}' is no field; a field is a name alone, such as {{percent}}.")
        if spec and ("{" in spec or any(len(digits) > _WIDEST for digits in re.findall(r"\d+", spec))):
            raise UsageError(f"'{spec}' behind '{name}' is no width that could be had.")


def fields_of(record: Record) -> dict[str, Field]:
    """Make the fields of a record: text is made printable, truth becomes yes or no, lists are joined by commas."""
    fields = {key: _plain(value) for key, value in record.items()}
    if "volume" in record:
        fields["percent"] = int(percent(record["volume"] or 0.0).removesuffix("%"))
        fields["mute"] = "muted" if record.get("muted") else ""
    return fields


def _plain(value: Any) -> Field:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    if isinstance(value, list):
        return ",".join(
            str(_plain(item.get("name", "") if isinstance(item, dict) else item)) for item in value
        )
    return "" if value is None else printable(str(value))
