"""What sentences to people have in common: values of strangers in them are short, and an error is one line."""

import json
from collections.abc import Mapping, Sequence

from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.model import clean

ERROR_TEXT_LIMIT = 2000
"""Most characters of an error, as a client sees it."""

_SHOWN = 40  # characters of a wrong value or key that a message repeats


def sentence(error: MixerError) -> str:
    """Write an error as one line: a sentence a line becomes sentences in a row."""
    text = " ".join(clean(line, ERROR_TEXT_LIMIT) for line in str(error).splitlines())
    return text[:ERROR_TEXT_LIMIT]


def literal(value: object) -> str:
    """Write text, a number or a boolean as TOML does."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower()  # also 1e-05, inf and nan are TOML


def value_text(value: object) -> str:
    """Repeat a value in a message: as TOML writes it where that is short, else say what it is."""
    match value:
        case int() if value.bit_length() > 64:  # noqa: PLR2004 - Python refuses to print very long ones
            return "a number of more than 64 bits"
        case str():
            return literal(shortened(value))
        case Mapping():
            return "a table"
        case Sequence():
            return f"a list of {len(value)}"
        case _:
            return literal(value)


def shortened(text: str) -> str:
    """Cut text that is too long to be repeated in a message."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
