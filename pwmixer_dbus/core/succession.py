"""What one instance of the service leaves to the next: all that lives only in the process, as one JSON document.

Times are those of the monotonic clock, which all processes of a machine share; of a fade, whose clock stands still
between the two, what remains. An instance of another version may read it: what it does not know it leaves out, what is
missing has its default.
"""

import json
from collections.abc import Mapping
from typing import get_args

from pwmixer_dbus.core.commands import Command, Origin
from pwmixer_dbus.core.directory import Directory, directory_of
from pwmixer_dbus.core.events import AppWanted
from pwmixer_dbus.core.history import Step
from pwmixer_dbus.core.memory import Memory, Write
from pwmixer_dbus.core.model import Key, Kind, Stream
from pwmixer_dbus.core.plain import plain, read
from pwmixer_dbus.core.records import dataclass, field, fields, replace
from pwmixer_dbus.core.routing import Hold, Routing
from pwmixer_dbus.core.rules import Rule
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import MixerState

VERSION = 1

LATEST = 60.0
"""Seconds after which a document is not believed to be by the same clock."""

SHOWN = 5
"""How many of the places that could not be read are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A request that the sound server has not answered: its commands that still count, its wishes, its step of the history."""

    commands: tuple[Command, ...] = ()
    wishes: tuple[AppWanted, ...] = ()
    origin: Origin
    step: Step | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of the sound server through us: the latest of each setting, and what it has not shown or answered yet.

    `lingering` has when that was acknowledged.
    """

    writes: tuple[Write, ...] = ()
    lingering: tuple[tuple[Command, float], ...] = ()
    under_way: tuple[UnderWay, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """What the keeper knows of time: births, its corrections of each object, when it looks again, the last upheaval."""

    born_at: Mapping[Key, float] = field(default_factory=dict)
    corrected_at: Mapping[Key, tuple[float, ...]] = field(default_factory=dict)
    again_at: Mapping[Key, float] = field(default_factory=dict)
    unrest_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fading:
    """A fade on its way: of what (as `fader.Name`), to which volume and limit, and the seconds that remain of it.

    `left` are those of its streams that somebody has taken hold of meanwhile.
    """

    kind: Kind
    index: int = 0
    name: str = ""
    volume: float
    limit: float
    remaining: float
    origin: Origin
    left: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """All of it. `made_at` is when, by the monotonic clock.

    `state` is what clients were shown last; `configured` are the settings of the files that its own come from. `memory` is
    None where it is in the state file; `remembers` says whether there is to be one. `rules` are those in force, whose
    revision is `rules_revision`. `past` are streams that have ended, each with the name of its device. `followers` are
    the clients that follow the trace.
    """

    made_at: float
    state: MixerState = field(default_factory=MixerState)
    configured: Settings = field(default_factory=Settings)
    remembers: bool = True
    memory: Memory | None = None
    rules: tuple[Rule, ...] = ()
    rules_revision: int = 1
    rules_enabled: bool = True
    routing: Routing = field(default_factory=Routing)
    history: tuple[Step, ...] = ()
    asked: Asked = field(default_factory=Asked)
    vigil: Vigil = field(default_factory=Vigil)
    fades: tuple[Fading, ...] = ()
    holds: tuple[Hold, ...] = ()
    next_cookie: int = 1
    past: tuple[tuple[Stream, str], ...] = ()
    followers: tuple[str, ...] = ()


def written(succession: Succession) -> str:
    """Write the document; what follows from the rest of it is left out."""
    succession = replace(succession, state=replace(succession.state, directory=Directory()))
    document = {
        "version": VERSION,
        "made_at": succession.made_at,
        **{f.name: plain(getattr(succession, f.name)) for f in fields(succession)},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def understood(text: str, now: float) -> tuple[Succession | None, str]:
    """Read a document: what can be used of it, and a sentence about the rest, "" where there is none. Never raises."""
    try:
        document = json.loads(text)
        succession, left_out = read(Succession, document, get_args(Command))
    except (ValueError, RecursionError):
        return None, "it is no document that this version can read"
    state = replace(succession.state, directory=directory_of(succession.state.streams.values()))
    succession = replace(succession, state=state)
    if not 0.0 <= now - succession.made_at <= LATEST:
        return None, "it is of another time"
    if not left_out:
        return succession, ""
    more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    return succession, f"it has what this version cannot read: {', '.join(left_out[:SHOWN])}{more}"
