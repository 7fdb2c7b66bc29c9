"""What is measured: a file for each subject. `IN_SESSION` shares the session of fifty streams, `ALONE` has sessions of its own."""

from collections.abc import Awaitable, Callable, Mapping

from benchmarks.figures import Line
from benchmarks.metrics import (
    bars,
    changes,
    code,
    floor,
    growth,
    key_press,
    looks,
    memory,
    meters,
    new_stream,
    rest,
    rules,
    scaling,
    shared_memory,
    signals,
    sockets,
    starts,
    statistics,
    storms,
    take_overs,
    volumes,
)
from benchmarks.rig import Bench, Length

IN_SESSION: Mapping[str, Callable[[Bench], Awaitable[list[Line]]]] = {
    "pulse": volumes.round_trip,
    "set-volume": volumes.set_volume,
    "busy": volumes.busy,
    "external-change": changes.external_change,
    "look": looks.look,
    "socket": sockets.changed,
    "socket-look": sockets.looked,
    "shared-memory": shared_memory.measured,
    "key-press": key_press.key_press,
    "signals": signals.signals,
    "start-up": starts.start_up,
    "edit": starts.edit,
    "first-call": starts.first_call,
    "floor": floor.floor,
    "memory": memory.memory,
    "rest": rest.rest,
    "growth": growth.growth,
}
"""In this order: memory is that of a service which has worked, and what wears it out comes last."""

ALONE: Mapping[str, Callable[[Length], Awaitable[list[Line]]]] = {
    "storms": storms.storms,
    "scaling": scaling.scaling,
    "bar": bars.bars,
    "new-stream": new_stream.new_stream,
    "statistics": statistics.statistics,
    "rules": rules.rules,
    "meters": meters.meters,
    "code": code.code,
    "take-over": take_overs.take_over,
}
