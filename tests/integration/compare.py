"""Compares what the service says with what the sound server itself says, through pactl, which nobody here wrote.

pactl's JSON replaces text that it finds unprintable by "(null)", so names are taken from its short listing, and texts
that are for people (descriptions, titles) are not compared.
"""

import json
from collections.abc import Iterator
from typing import Any

from service import Json, Service
from session import Session, SessionError

TOLERANCE = 2e-4
"""The service rounds volumes to four digits."""

_DEVICES = {"sinks": "sink", "sources": "source"}
_STREAMS = {"sink-inputs": ("playback", "sinks", "sink"), "source-outputs": ("capture", "sources", "source")}
_PLACEHOLDERS = {"auto_null", "auto_null.monitor"}


def differences(service: Service) -> list[str]:
    """Return a sentence for each difference of the service's state from the server's; none where they are equal.

    A change may be under way between the two; who waits for equality calls `wait_until_equal`.
    """
    said = service.describe()
    session = service.session
    return [*_of_devices(session, said), *_of_streams(session, said), *_of_defaults(session, said)]


def wait_until_equal(service: Service) -> None:
    """Wait until the service's state is the server's; SessionError with what differs if it never is."""
    found: list[str] = []

    def is_equal() -> bool:
        found[:] = differences(service)
        return not found

    try:
        service.session.wait_for(is_equal, "the service's state to be the server's")
    except SessionError as error:
        raise SessionError(f"{error}: {'; '.join(found)}") from None


def _of_devices(session: Session, said: Json) -> Iterator[str]:
    for listing, kind in _DEVICES.items():
        names = _names(session, listing)
        true = {
            d["index"]: d for d in _listed(session, listing) if names.get(d["index"]) not in _PLACEHOLDERS
        }
        ours = {d["index"]: d for d in said[listing]}
        yield from _of_indexes(kind, true, ours)
        for index in true.keys() & ours.keys():
            who = f"{kind} {index} ({names.get(index)})"
            yield from _of_values(who, "name", names.get(index), ours[index]["name"])
            yield from _of_sound(who, true[index], ours[index])


def _of_streams(session: Session, said: Json) -> Iterator[str]:
    for listing, (kind, devices, key) in _STREAMS.items():
        true = {
            s["index"]: s
            for s in _listed(session, listing)
            if s["properties"].get("resample.peaks") != "true"  # a meter, which no person wants to see
        }
        ours = {s["index"]: s for s in said["streams"] if s["kind"] == kind}
        names = _names(session, devices)
        yield from _of_indexes(kind, true, ours)
        for index in true.keys() & ours.keys():
            who = f"{kind} stream {index}"
            device = names.get(true[index][key])
            shown = None if device in _PLACEHOLDERS else device
            yield from _of_values(who, "device", shown, ours[index]["device"])
            yield from _of_values(who, "corked", true[index]["corked"], ours[index]["corked"])
            yield from _of_sound(who, true[index], ours[index])


def _of_defaults(session: Session, said: Json) -> Iterator[str]:
    for kind in _DEVICES.values():
        name = session.pactl(f"get-default-{kind}").strip()
        true = "" if name in _PLACEHOLDERS else name
        yield from _of_values(f"the default {kind}", "name", true, said["defaults"][kind])


def _of_indexes(kind: str, true: dict[int, Any], ours: dict[int, Any]) -> Iterator[str]:
    if missing := sorted(true.keys() - ours.keys()):
        yield f"{kind} {missing} is missing in the service"
    if left := sorted(ours.keys() - true.keys()):
        yield f"{kind} {left} is in the service, but not in the server"


def _of_sound(who: str, true: Json, ours: Json) -> Iterator[str]:
    yield from _of_values(who, "muted", true["mute"], ours["muted"])
    positions = true["channel_map"].split(",")
    yield from _of_values(who, "positions", positions, ours["positions"])
    volumes = [true["volume"][position]["value"] / 0x10000 for position in positions]
    given = ours["channel_volumes"]
    if len(given) != len(volumes) or any(abs(a - b) > TOLERANCE for a, b in zip(volumes, given, strict=True)):
        yield f"{who}: channel volumes {given} in the service, {volumes} in the server"
    if abs(max(volumes, default=0.0) - ours["volume"]) > TOLERANCE:
        yield f"{who}: volume {ours['volume']} in the service, {volumes} in the server"


def _of_values(who: str, what: str, true: object, ours: object) -> Iterator[str]:
    if true != ours:
        yield f"{who}: {what} is {ours!r} in the service, {true!r} in the server"


def _listed(session: Session, listing: str) -> list[Json]:
    return list(json.loads(session.pactl("-f", "json", "list", listing), strict=False))


def _names(session: Session, listing: str) -> dict[int, str]:
    rows = (row.split("\t") for row in session.pactl("list", "short", listing).splitlines())
    return {int(row[0]): row[1] for row in rows}
