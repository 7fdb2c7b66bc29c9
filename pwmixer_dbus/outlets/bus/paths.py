"""Object paths: the same object has the same path in every run, but for streams, whose numbers are never used twice.

Names are escaped as systemd does: every byte that is no ASCII letter or digit becomes `_` and two hex digits.
"""

from functools import lru_cache
from string import ascii_letters, digits
from typing import assert_never

from pwmixer_dbus.core.model import TEXT_LIMIT, App, Card, Device, Group, Kind, Stream
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import MixerState

BUS_NAME = "org.pwmixer.Mixer"
ROOT = "/org/pwmixer/Mixer"
NOWHERE = "/"
"""What a path-valued property says where there is no object to name."""

ALIASES = {Kind.SINK: "/org/pwmixer/Default/sink", Kind.SOURCE: "/org/pwmixer/Default/source"}
"""Fixed paths that follow the default device; outside the object manager's tree."""

ALIASED = {path: kind for kind, path in ALIASES.items()}
"""Which default device is at each of them."""

_BELOW, _STREAMS = f"{ROOT}/", f"{ROOT}/streams/"
_NUMBER_AT = len(_STREAMS)

_ESCAPED = {byte: f"_{byte:02x}" for byte in range(256) if chr(byte) not in ascii_letters + digits}

NAMES = 128
"""How many escaped names are kept: more than play at one time, whose levels are told of under them."""

LONGEST = TEXT_LIMIT * 4 * 3
"""Most characters of a name that is escaped: three for each byte, of which UTF-8 takes up to four."""

FOLDERS = ("sinks", "sources", "streams", "apps", "groups", "cards")


@lru_cache(maxsize=NAMES)
def escape(name: str) -> str:
    """Make one element of an object path from any text; the empty text is `_`."""
    if name.isascii() and name.isalnum():
        return name
    return name.encode("utf-8", "replace").decode("latin-1").translate(_ESCAPED) or "_"


def unescape(element: str) -> str | None:
    """Turn an element of a path back into the text; None for what `escape` never makes."""
    if len(element) > LONGEST:  # which nobody reads or keeps
        return None
    if element.isascii() and element.isalnum():
        return element
    raw, position = bytearray(), 0
    while position < len(element):
        if element[position] != "_":
            raw += element[position].encode()
            position += 1
            continue
        try:
            raw += bytes.fromhex(element[position + 1 : position + 3])
        except ValueError:
            return None
        position += 3
    name = raw.decode("utf-8", "replace")
    return name if escape(name) == element else None


def path_of(target: Target) -> str:
    """Return the object path of a target."""
    match target:
        case Stream():
            return f"{ROOT}/streams/{target.number}"
        case App():
            return f"{ROOT}/apps/{escape(target.app_id)}"
        case Device():
            return f"{ROOT}/{target.kind}s/{escape(target.name)}"
        case Group():
            return f"{ROOT}/groups/{escape(target.name)}"
        case Card():
            return f"{ROOT}/cards/{escape(target.name)}"
    assert_never(target)


def find(state: MixerState, path: str) -> Target | None:
    """Return the object at a path below the root, or at an alias while there is such a default."""
    return state.default(ALIASED[path]) if path in ALIASED else below_root(state, path)


def below_root(state: MixerState, path: str) -> Target | None:
    """Return the object at a path below the root."""
    if path.startswith(_STREAMS):  # as with nearly all
        return state.stream_numbered(path[_NUMBER_AT:])
    if not path.startswith(_BELOW):
        return None
    folder, _, element = path[len(_BELOW) :].partition("/")
    name = unescape(element)
    if not name:
        return None
    match folder:
        case "sinks":
            return state.device_named(Kind.SINK, name)
        case "sources":
            return state.device_named(Kind.SOURCE, name)
        case "apps":
            return state.apps.get(name)
        case "groups":
            return state.group_named(name)
        case "cards":
            return next((c for c in state.cards.values() if c.name == name), None)
    return None
