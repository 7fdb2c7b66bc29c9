"""How each bar wants to be told: from a status to one line of text or JSON, with what strangers wrote escaped for it.

Only the fields are escaped; a template is the person's own, and may use the markup of the bar.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pwmixer_dbus.cli.bars.status import ABSENT, NO_DEVICE, NO_SERVER, NO_SERVICE, OK, Status
from pwmixer_dbus.cli.change import percent
from pwmixer_dbus.cli.template import Field, put

FORMAT = "{level}"
"""The template that is used where none is given."""

LONGEST_TEMPLATE = 512
_MOST_APPS = 12
_FULL = 1.0005
_GLYPHS = ("🔈", "🔉", "🔊")
_PANGO = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_WORDS = {NO_SERVICE: "no pwmixer", NO_SERVER: "no sound", NO_DEVICE: "no device", ABSENT: ""}
_SENTENCES = {
    NO_SERVICE: "The pwmixer service is not running; 'pwmixerctl doctor' starts it, or says why not.",
    NO_SERVER: "The sound server is not running.",
    NO_DEVICE: "There is no device for {} now.",
    ABSENT: "Nothing is called {} now.",
}

FIELDS = (
    ("level", "the volume with its sign, or 'muted': 45%"),
    ("percent", "the volume in percent, without the sign: 45"),
    ("volume", "the volume as a fraction: 0.45"),
    ("mute", "'muted', or nothing"),
    ("muted", "yes or no"),
    ("icon", "a loudspeaker, or a microphone, as a character: 🔉"),
    ("name", "the name for people, of a device, a stream's application or an application"),
    ("port", "what is plugged in, such as Headphones; may be empty"),
    ("form", "headphones, headset, hdmi, speakers, webcam, microphone, output, input or app"),
    ("apps", "how many applications are playing, or, for an input, recording"),
)
"""What a template of a bar may hold, and what it is."""

Escape = Callable[[str], str]
Maker = Callable[[Status, str], str]


def fields_of(status: Status, escape: Escape) -> dict[str, Field]:
    """Make the fields of a template."""
    return {
        "level": _level(status.volume, muted=status.muted),
        "percent": _rounded(status.volume),
        "volume": status.volume,
        "mute": "muted" if status.muted else "",
        "muted": "yes" if status.muted else "no",
        "icon": _icon(status),
        "name": escape(status.name),
        "port": escape(status.port),
        "form": status.form,
        "apps": sum(app.active for app in status.apps),
    }


def waybar(status: Status, template: str) -> str:
    """One JSON object for a custom module of waybar, with `return-type` json."""
    return _json(
        text=_text(status, template, _pango),
        tooltip=_tooltip(status, _pango),
        **{"class": _classes(status)},
        percentage=_rounded(status.volume),
        alt=_alt(status),
    )


def i3blocks(status: Status, template: str) -> str:
    """One JSON object for a block of i3blocks, with `format=json`."""
    return _json(
        full_text=_text(status, template, _pango), short_text=_text(status, FORMAT, _pango), markup="pango"
    )


def i3status_rust(status: Status, template: str) -> str:
    """One JSON object for a custom block of i3status-rust, with `json = true`."""
    state = "Critical" if status.state in {NO_SERVICE, NO_SERVER, NO_DEVICE} else "Idle"
    return _json(
        text=_text(status, template, _pango),
        short_text=_text(status, FORMAT, _pango),
        state="Warning" if status.muted else state,
    )


def eww(status: Status, template: str) -> str:
    """One JSON object for a `deflisten` of eww, with all that a widget could want."""
    return _json(
        text=_text(status, template, str),
        tooltip=_tooltip(status, str),
        **{"class": " ".join(_classes(status))},
        state=status.state,
        alt=_alt(status),
        percent=_rounded(status.volume),
        muted=status.muted,
        name=status.name,
        port=status.port,
        icon=_icon(status),
        apps=[
            {
                "selector": app.selector,
                "name": app.name,
                "percent": _rounded(app.volume),
                "muted": app.muted,
                "active": app.active,
            }
            for app in status.apps[:_MOST_APPS]
        ],
    )


def polybar(status: Status, template: str) -> str:
    """One line for a script module of polybar, with `tail`."""
    # It has no escape; with a space between them the two signs begin no tag.
    return _text(status, template, lambda text: text.replace("%{", "% {"))


def plain(status: Status, template: str) -> str:
    """One line of text."""
    return _text(status, template, str)


MAKERS: Mapping[str, Maker] = {
    "waybar": waybar,
    "polybar": polybar,
    "i3blocks": i3blocks,
    "i3status-rust": i3status_rust,
    "eww": eww,
    "follow": plain,
}
"""By the command of `pwmixerctl`."""


def _text(status: Status, template: str, escape: Escape) -> str:
    if status.state != OK:
        return _WORDS[status.state]
    return " ".join(put(template, fields_of(status, escape)).splitlines())


def _tooltip(status: Status, escape: Escape) -> str:
    if status.state != OK:
        return _SENTENCES[status.state].format(escape(status.name))
    title = f"{status.name} ({status.port})" if status.port and status.port != status.name else status.name
    rows = [(title, _level(status.volume, muted=status.muted))]
    for app in status.apps[:_MOST_APPS]:
        level = _level(app.volume, muted=app.muted)
        rows.append((app.name, level if app.active else f"{level}, paused"))
    lines = [f"{_in_order(escape(name))}: {level}" for name, level in rows]
    more = len(status.apps) - _MOST_APPS
    return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def _in_order(name: str) -> str:
    """Enclose a name that runs to the left in marks, or Pango puts its line on the other side, and its volume before it."""
    return f"\u200e{name}\u200e" if any("\u0590" <= c <= "\u08ff" for c in name) else name


def _classes(status: Status) -> list[str]:
    """Name what a style sheet may want to tell apart; of the states other than OK, only the state."""
    if status.state != OK:
        return [status.state]
    holds = {
        "muted": status.muted,
        "over": status.volume > _FULL,
        "bluetooth": status.bluetooth,
        "recording" if status.kind == "source" else "playing": any(app.active for app in status.apps),
    }
    return [status.form, *(name for name, is_so in holds.items() if is_so)]


def _alt(status: Status) -> str:
    if status.state != OK:
        return status.state
    return "muted" if status.muted else status.form


def _icon(status: Status) -> str:
    if status.kind == "source":
        return "🎤"
    if status.muted or status.state != OK:
        return "🔇"
    return _GLYPHS[min(int(status.volume * len(_GLYPHS)), len(_GLYPHS) - 1)]


def _level(volume: float, *, muted: bool) -> str:
    return "muted" if muted else percent(volume)


def _rounded(volume: float) -> int:
    # As people read it elsewhere; round() and formatting treat halves alike.
    return int(percent(volume).removesuffix("%"))


def _pango(text: str) -> str:
    return text.translate(_PANGO)


def _json(**keys: Any) -> str:
    return json.dumps(keys, ensure_ascii=False, separators=(",", ":"))
