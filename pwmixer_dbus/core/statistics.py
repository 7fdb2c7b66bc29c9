"""What is measured, as a plain document for people and programs, and that as text for Prometheus.

Keys and words are added, never changed. Seconds and bytes throughout; the document is what `Stats()` returns.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypedDict

from pwmixer_dbus.core.measures import Measures
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.tally import BOUNDS, KEPT, Cost, Histogram, Tally, Traced


class Depth(TypedDict):
    """How many wait somewhere."""

    now: int
    peak: int


class Rate(TypedDict):
    """How good a cache is."""

    hits: int
    misses: int
    rate: float


class Delays(TypedDict):
    """A histogram, in seconds; `buckets` has those that are not empty, with their upper bounds, null for the last."""

    count: int
    sum: float
    p50: float
    p90: float
    p99: float
    max: float
    buckets: list[tuple[float | None, int]]


class Costs(TypedDict):
    """What an object, all of a kind, or a caller on the bus has cost; `seconds` is the service's time spent on it."""

    kind: str
    selector: str
    name: str
    app: str
    notices: int
    fetches: int
    commands: int
    calls: int
    seconds: float


class Kept(TypedDict):
    """How many events there were, and how many of them can still be read."""

    events: int
    kept: int


class Statistics(TypedDict):
    """All that is measured; `usage` is what the system says of the process."""

    uptime: float
    counters: dict[str, int]
    caches: dict[str, Rate]
    queues: dict[str, Depth]
    clients: dict[str, int]
    usage: dict[str, float]
    histograms: dict[str, Delays]
    costs: list[Costs]
    trace: Kept


class Entry(TypedDict):
    """One event of the trace; `time` is seconds since 1970, `took` seconds."""

    number: int
    time: float
    what: str
    object: str
    detail: str
    took: float


HISTOGRAMS: Mapping[str, str] = {
    "notice_to_state": "from a notice of the sound server until the state shows what it was about",
    "state_to_signal": "from a change of the state until it has been told on the bus",
    "call_to_reply": "from a call on the bus until its answer",
    "new_stream_to_moved": "from the appearance of a stream until a rule has moved it",
}
"""What is timed, with its meaning."""

COUNTERS: Mapping[str, str] = {
    "connections": "connections to the sound server",
    "notices": "notices of the sound server",
    "coalesced": "looks at an object that were spared, since one was planned already",
    "fetches": "looks at an object, or at all of a kind",
    "fetches_failed": "looks that failed, mostly since the object had just gone",
    "properties_hits": "property lists that had not changed",
    "properties_misses": "property lists that had to be read",
    "events": "events that were applied to the state",
    "events_without_change": "events that changed nothing",
    "signals": "changes of an object that were told on the bus",
    "signals_merged": "changes of an object that were told with another one of it",
    "calls": "calls on the bus",
    "errors": "calls that were answered with an error",
    "commands": "commands to the sound server",
    "commands_replaced": "commands that were overruled while they waited",
    "commands_failed": "commands that failed",
    "asked_again": "commands that were sent again, since nothing had happened",
}
"""What is counted, with its meaning."""

_RATES = {"properties": ("properties_hits", "properties_misses")}
_SERVER_CLIENTS = "sound_server"


def describe(measures: Measures, state: MixerState, usage: Mapping[str, float]) -> Statistics:
    """Return all that is measured; `usage` is what the system says of the process, by the names that it shall have."""
    tally = measures.counted()
    counts = {name: getattr(tally.counts, name) for name in COUNTERS}
    return {
        "uptime": round(measures.clock() - measures.started_at, 3),
        "counters": counts,
        "caches": {name: _rate(counts[hits], counts[misses]) for name, (hits, misses) in _RATES.items()},
        "queues": {
            name: {"now": queue.depth(), "peak": queue.peak} for name, queue in measures.queues.items()
        },
        "clients": {
            _SERVER_CLIENTS: len(state.clients),
            **{name: count() for name, count in measures.clients.items()},
        },
        "usage": dict(usage),
        "histograms": {name: _histogram(getattr(tally, name)) for name in HISTOGRAMS},
        "costs": list(_costs(tally, state)),
        "trace": {"events": tally.number, "kept": min(tally.number, KEPT)},
    }


def _rate(hits: int, misses: int) -> Rate:
    return {"hits": hits, "misses": misses, "rate": round(hits / (hits + misses), 4) if hits else 0.0}


def _histogram(histogram: Histogram) -> Delays:
    bounds = (*BOUNDS, None)
    return {
        "count": histogram.count,
        "sum": round(histogram.total, 6),
        "p50": round(histogram.quantile(0.5), 6),
        "p90": round(histogram.quantile(0.9), 6),
        "p99": round(histogram.quantile(0.99), 6),
        "max": round(histogram.largest, 6),
        "buckets": [(bound, n) for bound, n in zip(bounds, histogram.counts, strict=True) if n],
    }


def _costs(tally: Tally, state: MixerState) -> Iterator[Costs]:
    owners: dict[int | None, str] = {}
    for stream in state.streams.values():
        owners.setdefault(stream.client, stream.identity.app_id)
    for (kind, index), cost in tally.costs.items():
        selector, called, app_id = _who(state, owners, kind, index)
        yield _cost(cost, kind.value, selector, called, app_id)
    for name, cost in tally.callers.items():
        yield _cost(cost, "caller", "", name, "")


def _cost(cost: Cost, kind: str, selector: str, name: str, app_id: str) -> Costs:
    return {
        "kind": kind,
        "selector": selector,
        "name": name,
        "app": app_id,
        "notices": cost.notices,
        "fetches": cost.fetches,
        "commands": cost.commands,
        "calls": cost.calls,
        "seconds": round(cost.seconds, 6),
    }


def _who(
    state: MixerState, owners: Mapping[int | None, str], kind: Kind, index: int | str
) -> tuple[str, str, str]:
    """Return the selector of an object, "" where it has none, its name for people, and the id of its application.

    `owners` are the applications of clients.
    """
    if isinstance(index, str):
        app = state.apps.get(index)
        return f"app:{index}", index if app is None else app.name, index
    stream, target = state.streams.get((kind, index)), _target(state, kind, index)
    if stream is not None:
        identity = stream.identity
        return selector_of(stream), stream.media_name or identity.name, identity.app_id
    if target is not None:
        return selector_of(target), getattr(target, "description", ""), ""
    if kind is Kind.CLIENT and index in state.clients:
        return "", state.clients[index].name, owners.get(index, "")
    name = (
        "the sound server" if kind is Kind.SERVER else f"every {kind}" if index == -1 else f"{kind} {index}"
    )
    return "", name, ""


def _target(state: MixerState, kind: Kind, index: int) -> Target | None:
    if kind is Kind.CARD:
        return state.cards.get(index)
    return state.audible((kind, index))


def traced(event: Traced, state: MixerState, offset: float) -> Entry:
    """Describe an event; `offset` makes seconds since 1970 of the clock's.

    `object` is its selector where it still is, else its kind and the server's index of it; `took` is in seconds.
    """
    return {
        "number": event.number,
        "time": round(event.at + offset, 6),
        "what": event.what,
        "object": _object(event, state),
        "detail": "" if event.kind == Kind.APP else event.detail,
        "took": round(event.took, 6),
    }


def _object(event: Traced, state: MixerState) -> str:
    if not event.kind:
        return ""
    kind = Kind(event.kind)
    if kind is Kind.SERVER:
        return "server"
    if kind is Kind.APP:
        return f"app:{event.detail}"
    if event.index is None:
        return f"every {kind}"
    target = _target(state, kind, event.index)
    return f"{kind} #{event.index}" if target is None else selector_of(target)


def prometheus(document: Statistics) -> str:
    """Write a document in the text format of Prometheus (0.0.4), without what single objects cost."""
    return "\n".join((*_prometheus(document), ""))


def _prometheus(document: Statistics) -> Iterator[str]:
    for name, meaning in COUNTERS.items():
        yield from _family(f"pwmixer_{name}_total", "counter", meaning)
        yield f"pwmixer_{name}_total {document['counters'][name]}"
    yield from _gauges(
        "pwmixer_queue_depth",
        "what waits now",
        [(f'queue="{name}"', q["now"]) for name, q in document["queues"].items()],
    )
    yield from _gauges(
        "pwmixer_queue_peak",
        "the most that waited",
        [(f'queue="{name}"', q["peak"]) for name, q in document["queues"].items()],
    )
    clients = [(f'kind="{name}"', count) for name, count in document["clients"].items()]
    yield from _gauges("pwmixer_clients", "who is connected", clients)
    for name, value in document["usage"].items():
        kind = "counter" if name == "cpu_seconds" else "gauge"
        full = f"pwmixer_{name}_total" if kind == "counter" else f"pwmixer_{name}"
        yield from _family(full, kind, "of the process, as the system says")
        yield f"{full} {value}"
    yield from _family("pwmixer_uptime_seconds", "gauge", "since the start of the service")
    yield f"pwmixer_uptime_seconds {document['uptime']}"
    for name, meaning in HISTOGRAMS.items():
        yield from _buckets(f"pwmixer_{name}_seconds", meaning, document["histograms"][name])


def _family(name: str, kind: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"


def _gauges(name: str, meaning: str, values: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield from _family(name, "gauge", meaning)
    for labels, value in values:
        yield f"{name}{{{labels}}} {value}"


def _buckets(name: str, meaning: str, histogram: Delays) -> Iterator[str]:
    yield from _family(name, "histogram", meaning)
    counts: dict[float | None, int] = dict(histogram["buckets"])
    seen = accumulate([counts.get(bound, 0) for bound in BOUNDS])
    yield from [f'{name}_bucket{{le="{bound:g}"}} {n}' for bound, n in zip(BOUNDS, seen, strict=True)]
    yield f'{name}_bucket{{le="+Inf"}} {histogram["count"]}'
    yield f"{name}_sum {histogram['sum']}"
    yield f"{name}_count {histogram['count']}"
