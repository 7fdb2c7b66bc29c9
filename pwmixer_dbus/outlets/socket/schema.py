"""What the lines of the JSON dialect may be, as a contract: published as JSON Schema, and what `jsonlines` is held to.

The running service never imports this, nor pydantic with it.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, model_validator
from pydantic.json_schema import models_json_schema

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import CONTEXT_LIMIT
from pwmixer_dbus.core.model import TEXT_LIMIT
from pwmixer_dbus.core.selectors import SELECTOR_LIMIT
from pwmixer_dbus.outlets.socket.jsonlines import ID_LIMIT, ID_RANGE

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Id = Annotated[int, Field(ge=-ID_RANGE, le=ID_RANGE)] | Annotated[str, Field(max_length=ID_LIMIT)] | None
Level = Annotated[float, Field(ge=0.0, le=gain.CEILING)]
Name = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)]
Selector = Annotated[str, Field(min_length=1, max_length=SELECTOR_LIMIT)]
_ABSENT: Any = None
"""What a key is that is not there; null is not accepted for it."""

Object = dict[str, JsonValue]
"""An object as `Describe` has it."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Message(_Line):
    id: Id = Field(default=None, description="Given back with the answer.")


class _Targeted(_Message):
    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["app"]}, {"required": ["target"]}]})

    app: Name = Field(default=_ABSENT, description="An application, by id, the last part of it, or name.")
    target: Selector = Field(
        default=_ABSENT, description="A selector such as @sink, or a sink or application by name."
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if ("app" in self.model_fields_set) == ("target" in self.model_fields_set):
            raise ValueError("either app or target")
        return self


class _Change(_Targeted):
    context: str = Field(
        default="", max_length=CONTEXT_LIMIT, description="Why, for those who watch clients."
    )
    quiet: bool = Field(default=False, description="Whether no display shall show it.")


class Step(_Change):
    """One step up or down; a step up also unmutes."""

    action: Literal["up", "down"]
    amount: Level = Field(default=_ABSENT, description="How far; without it, the step of the configuration.")


class Mute(_Change):
    """Mute, unmute, or the other of the two."""

    action: Literal["mute", "unmute", "toggle"]


class Set(_Change):
    """Set the volume."""

    action: Literal["set"]
    volume: Level = Field(
        description="1.0 is 100 %. What is above the highest volume in force is limited to it."
    )


class Route(_Change):
    """Move the streams of an application, or a stream, to a device."""

    action: Literal["route"]
    device: Selector = Field(description="A sink by name or description, or a selector.")


class Get(_Targeted):
    """Ask for volume and mute."""

    action: Literal["get"]


class Subscribe(_Message):
    """Ask for the whole state, and from then on for an event for each change."""

    action: Literal["subscribe"]


Action = Annotated[Step | Mute | Set | Route | Get | Subscribe, Field(discriminator="action")]


class Command(_Message):
    """An action, or a line of the text dialect, with an id beside it; that of an action in it does not count."""

    command: Action | str


class Message(RootModel[Step | Mute | Set | Route | Get | Subscribe | Command]):
    """What a client sends."""


class Done(_Message):
    """The answer to what was done or found; only what was asked for is in it."""

    ok: Literal[True]
    volume: float = Field(default=_ABSENT, description="In force now; of several, that of the last.")
    muted: bool = Field(default=_ABSENT, description="In force now, likewise.")
    connected: Literal[False] = Field(
        default=_ABSENT, description="There where the sound server is away: this is what was known last."
    )
    limited: str = Field(default=_ABSENT, description="Why the volume is not the one that was asked for.")
    streams: list[str] | list[Object] = Field(
        default=_ABSENT, description="The streams that moved, or the list of them."
    )
    apps: list[Object] = Field(default=_ABSENT)
    sinks: list[Object] = Field(default=_ABSENT)
    sources: list[Object] = Field(default=_ABSENT)
    groups: list[Object] = Field(default=_ABSENT)
    state: Object = Field(default=_ABSENT, description="The whole state, as Describe on D-Bus has it.")


class Refused(_Message):
    """The answer to what could not be done."""

    ok: Literal[False]
    error: str = Field(description="A sentence for a person.")
    name: str = Field(description="The name of the error on D-Bus.")


class Reply(RootModel[Done | Refused]):
    """What a client reads for each message, in the order of the messages."""


class Changed(_Line):
    """Some values of an object differ."""

    event: Literal["changed"]
    selector: str
    changes: Object


class Added(_Line):
    """An object is new."""

    event: Literal["added"]
    selector: str
    object: Object


class Removed(_Line):
    """An object has gone."""

    event: Literal["removed"]
    selector: str


class Default(_Line):
    """Another device is the default, or none."""

    event: Literal["default"]
    kind: Literal["sink", "source"]
    selector: str | None


class Server(_Line):
    """The sound server has come or gone."""

    event: Literal["server"]
    connected: bool
    name: str
    version: str


class Event(RootModel[Annotated[Changed | Added | Removed | Default | Server, Field(discriminator="event")]]):
    """What a client reads that has subscribed, between the replies."""


def published() -> dict[str, Any]:
    """Return all of it as JSON Schema: a client sends a Message, and reads a Reply or an Event."""
    _, schema = models_json_schema([(model, "validation") for model in (Message, Reply, Event)])
    definitions = _without_noise(schema["$defs"])
    about = "A line of the JSON dialect of pwmixer's socket: a client sends a Message, and reads a Reply or an Event."
    return {"$schema": DIALECT, "description": about, "$ref": "#/$defs/Message", "$defs": definitions}


def _without_noise(schema: Any) -> Any:
    """Leave out titles that repeat names, and the null that only stands for what is absent."""
    if isinstance(schema, list):
        return [_without_noise(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_noise(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and (key, value) != ("default", None)
    }
