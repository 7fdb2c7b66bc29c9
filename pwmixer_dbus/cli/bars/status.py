"""What a bar shows of a target, read from the document of the service: pure, and the same for every bar."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pwmixer_dbus.cli import printable
from pwmixer_dbus.cli.template import Record

Document = dict[str, Any]

OK, NO_SERVICE, NO_SERVER, NO_DEVICE, ABSENT = "ok", "no-service", "no-server", "no-device", "absent"

_LONGEST_NAME = 60
_DEVICES = ("sink", "source")
_DIRECTIONS = {"sink": "playback", "source": "capture"}
_FORMS = (
    ("headphone", "headphones"),
    ("headset", "headset"),
    ("hands-free", "headset"),
    ("handsfree", "headset"),
    ("hdmi", "hdmi"),
    ("displayport", "hdmi"),
    ("tv", "hdmi"),
    ("speaker", "speakers"),
    ("webcam", "webcam"),
    ("mic", "microphone"),
)
"""What to look for in the name of the port in use, then in the form of the device, and which form that means."""


class Line(NamedTuple):
    """One application of the tooltip."""

    selector: str
    name: str
    volume: float
    muted: bool
    active: bool


class Status(NamedTuple):
    """A target as a bar shows it. Where `state` is not OK, there is nothing but `name`, which is the selector then.

    `form` is headphones, headset, hdmi, speakers, webcam or microphone, else input, output or app. `apps` are those
    that play to a sink, record from a source, or have any stream, where the target is something else.
    """

    state: str
    name: str = ""
    port: str = ""
    volume: float = 0.0
    muted: bool = False
    kind: str = ""
    form: str = ""
    bluetooth: bool = False
    apps: tuple[Line, ...] = ()


def absent(state: str, selector: str) -> Status:
    """Say that there is nothing to show. `state` is NO_SERVICE, NO_SERVER or ABSENT, which a device makes NO_DEVICE."""
    is_device = selector.lstrip("@").partition(":")[0] in _DEVICES
    return Status(NO_DEVICE if state == ABSENT and is_device else state, name=shortened(selector))


def status_of(document: Document, records: Sequence[Record]) -> Status:
    """Read a target that is these records, at least one: as loud as the loudest, and muted when all are."""
    first = records[0]
    kind = first["kind"]
    return Status(
        OK,
        name=_names(records),
        port=_port(first),
        volume=max(record.get("volume") or 0.0 for record in records),
        muted=all(record.get("muted", False) for record in records),
        kind=kind,
        form=_form(first),
        bluetooth=any(record.get("bus") == "bluetooth" for record in records),
        apps=tuple(_apps(document, _DIRECTIONS.get(kind))),
    )


def shortened(text: str) -> str:
    """Make text harmless and short enough for a bar."""
    text = printable(text)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1].rstrip() + "…"


def _names(records: Sequence[Record]) -> str:
    return shortened(", ".join(dict.fromkeys(_name(record) for record in records)))


def _name(record: Record) -> str:
    if record["kind"] in _DEVICES:
        return str(record["description"] or record["name"])
    return str(record.get("app_name") or record["name"])


def _port(record: Record) -> str:
    for port in record.get("ports", ()):
        if port["name"] == record["active_port"]:
            return shortened(port["description"] or port["name"])
    return ""


def _form(record: Record) -> str:
    if record["kind"] not in _DEVICES:
        return "app"
    for said in (record["active_port"].lower(), record["form_factor"].lower()):
        for part, form in _FORMS:
            if part in said:
                return form
    return "output" if record["kind"] == "sink" else "input"


def _apps(document: Document, direction: str | None) -> Iterable[Line]:
    of_interest = {s["number"] for s in document["streams"] if direction in {None, s["direction"]}}
    for app in document["apps"]:
        if of_interest.intersection(app["streams"]) and not app["hidden"]:
            yield Line(
                selector=app["selector"],
                name=shortened(app["name"] or app["app_id"]),
                volume=app["volume"] or 0.0,
                muted=app["muted"],
                active=app["active"],
            )
