"""`stats` and `trace`: what the service measures of itself, and what happens in it."""

import json
import select
import sys
import time
from contextlib import suppress
from pathlib import Path

from pwmixer_dbus.cli import DONE, CommandError, UnreachableError, UsageError, wire
from pwmixer_dbus.cli.change import parse_count
from pwmixer_dbus.cli.figures import Document, event_line, plots, summary
from pwmixer_dbus.cli.render import sentence
from pwmixer_dbus.cli.show import screen, terminal

_LONGEST_WAIT = 5.0
_STDOUT = 1
_VIEWS = {"--json", "--prometheus", "--plot", "--profile"}
_OWNER = f"type='signal',sender='{wire.BUS_NAME}',member='NameOwnerChanged',arg0='{wire.NAME}'"


def run(name: str, options: dict[str, str], _arguments: list[str]) -> int:
    """Run one command. Raises UsageError, and what the wire raises."""
    if name == "stats":
        _stats(options)
        return DONE
    with suppress(KeyboardInterrupt):  # it is meant to be ended so
        _trace(options)
    return DONE


def _stats(options: dict[str, str]) -> None:
    if len(options.keys() & _VIEWS) > 1:
        raise UsageError(f"'stats' takes one of {', '.join(sorted(_VIEWS))}.")
    if "--profile" in options:
        _profile(parse_count(options["--profile"], "number of seconds"))
        return
    text = str(wire.call("Stats"))
    measured: Document = json.loads(text)
    if "--json" in options:
        print(json.dumps(measured, indent=2))
    elif "--prometheus" in options:
        from pwmixer_dbus.core.statistics import prometheus  # noqa: PLC0415 - seldom needed

        print(prometheus(measured), end="")  # type: ignore[arg-type]
    else:
        print((plots if "--plot" in options else summary)(measured, terminal(options)))


def _trace(options: dict[str, str]) -> None:
    as_json, follow = "--json" in options, "--follow" in options
    last = parse_count(options.get("--last", "10" if follow else "4096"), "number of events", least=0)
    with wire.Connection() as bus:
        if follow:
            bus.call("AddMatch", "s", _OWNER, to=wire.BUS)
            bus.call("FollowTrace", "b", True)
        events = json.loads(str(bus.call("Trace", "a{sv}", {"last": last})))
        _print(events, as_json=as_json)
        if follow:
            _follow(bus, events[-1]["number"] + 1 if events else None, as_json=as_json)


def _follow(bus: wire.Connection, wanted: int | None, *, as_json: bool) -> None:
    """Print what is sent, from a number or from now on, until interrupted or until nobody reads it."""
    poll = select.poll()
    poll.register(bus, select.POLLIN)
    poll.register(_STDOUT, 0)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == _STDOUT:
                return
            for kind, _, _, values in bus.arrived():
                if kind == wire.SIGNAL and len(values) > 1 and not values[-1]:
                    raise UnreachableError("The pwmixer service has gone.")
                if kind == wire.SIGNAL and values and str(values[0])[:1] == "[":
                    wanted = _go_on(json.loads(str(values[0])), wanted, as_json=as_json)


def _go_on(events: list[Document], wanted: int | None, *, as_json: bool) -> int | None:
    """Print what is new of a bunch of events, and return which number comes next."""
    new = [event for event in events if wanted is None or event["number"] >= wanted]
    if not new:
        return wanted
    if wanted is not None and new[0]["number"] > wanted:
        missing = new[0]["number"] - wanted
        print("1 event is missing" if missing == 1 else f"{missing} events are missing", file=sys.stderr)
    _print(new, as_json=as_json)
    return int(new[-1]["number"]) + 1


def _print(events: list[Document], *, as_json: bool) -> None:
    shown_on, margin = screen(), " " * len("10:20:43.123456 ")
    for event in events:
        print(json.dumps(event) if as_json else sentence(event_line(event), shown_on, margin))
    sys.stdout.flush()


def _profile(seconds: int) -> None:
    path = Path(str(wire.call("Profile", "u", seconds)))
    deadline = time.monotonic() + seconds + _LONGEST_WAIT
    while not path.exists():
        if time.monotonic() > deadline:
            raise CommandError(f"The profile has not been written to {path}; the journal says why.")
        time.sleep(0.1)
    print(f"{path}\nRead it with: python3 -m pstats {path}")
