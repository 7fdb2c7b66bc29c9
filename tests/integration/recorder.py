"""What passes over the bus to and from the service, in the bus's own order, as `busctl monitor` has seen it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from service import NAME, ROOT, CallError, Json, Service

RESOLVE = "Resolve"
LISTING = "GetManagedObjects"


class Recorder:
    """Records from now on."""

    def __init__(self, service: Service, name: str = "recorder") -> None:
        self._service = service
        self._log = Path(service.session.runtime, f"{name}.log")
        self._marks = 0
        # By lines, whatever it thinks of a file; only some versions say that they are ready, so it is asked for.
        service.session.spawn(name, "stdbuf", "-oL", "busctl", "--user", "--json=short", "monitor", NAME)
        service.session.wait_for_child(name, self._hears, "to listen")

    def _hears(self) -> bool:
        with contextlib.suppress(CallError):
            self._service.call(RESOLVE, "s", "app:mark-0.")
        return "app:mark-0." in self._log.read_text()

    def messages(self) -> list[Json]:
        """Return all messages until now."""
        self._marks += 1
        mark = f"app:mark-{self._marks}."
        try:
            self._service.call(RESOLVE, "s", mark)
        except CallError:
            # The mark stands in the call and in its error, which comes after all that was sent before.
            self._service.session.wait_for(lambda: self._log.read_text().count(mark) > 1, "the recorder")
        *lines, _ = self._log.read_text().split("\n")  # what comes just now may be in the making
        return [
            json.loads(line)
            for line in lines
            if line.startswith("{") and RESOLVE not in line and "app:mark-" not in line
        ]

    def signals(self, member: str) -> list[Json]:
        """Return all signals of a name until now."""
        return [m for m in self.messages() if m["type"] == "signal" and m["member"] == member]

    def changes(self, path: str) -> list[Json]:
        """Return the changed properties in each PropertiesChanged of an object until now."""
        return [changed(m) for m in self.signals("PropertiesChanged") if m["path"] == path]

    def assert_announced_before_the_reply(self, member: str, *expected: tuple[str, str]) -> None:
        """Check that the last call of a method had these properties, each of a path, announced before its reply."""
        messages = self.messages()
        call, reply = [p for p in calls_with_replies(messages) if messages[p[0]]["member"] == member][-1]
        between = messages[call:reply]
        missing = [e for e in expected if not any(announced(m, *e) for m in between)]
        assert not missing, f"{missing} is not among {between}; after it came {messages[reply:]}"

    def assert_nothing_is_named_before_it_is_announced(self) -> None:
        """Check that since GetManagedObjects was answered first, signals have named only objects that clients know.

        What is new may name others that are new, which are then announced before anything else is said.
        """
        messages = self.messages()
        listings = {
            reply for call, reply in calls_with_replies(messages) if messages[call]["member"] == LISTING
        }
        known: set[str] | None = None
        owed: set[str] = set()
        for position, message in enumerate(messages):
            if position in listings and known is None:
                known = set(message["payload"]["data"][0])
            if known is None or message["type"] != "signal":
                continue
            named = set(_objects_in([message["path"], message["payload"]["data"]]))
            if message["member"] == "InterfacesAdded":
                known.add(message["payload"]["data"][0])
                owed = (owed | named) - known
            else:
                assert named | owed <= known, f"{(named | owed) - known} is not known before {message}"
            if message["member"] == "InterfacesRemoved":
                known.remove(message["payload"]["data"][0])
        assert known
        assert not owed


def _objects_in(value: Json) -> Iterator[str]:
    match value:
        case str() if value.startswith(f"{ROOT}/"):
            yield value
        case dict():
            yield from _objects_in(list(value.values()))
        case list():
            for part in value:
                yield from _objects_in(part)


def announced(message: Json, path: str, name: str) -> bool:
    """Whether a message is the PropertiesChanged of an object's property."""
    return (
        message["type"] == "signal"
        and message["member"] == "PropertiesChanged"
        and message["path"] == path
        and name in changed(message)
    )


def changed(message: Json) -> Json:
    """Return what a PropertiesChanged has changed."""
    return {name: value["data"] for name, value in message["payload"]["data"][1].items()}


def calls_with_replies(messages: list[Json]) -> Iterator[tuple[int, int]]:
    """Go through the positions of all calls and of their replies."""
    calls = {(m["sender"], m["cookie"]): i for i, m in enumerate(messages) if m["type"] == "method_call"}
    for position, message in enumerate(messages):
        if message["type"] in {"method_return", "method_error"}:
            call = calls.get((message["destination"], message["reply_cookie"]))
            if call is not None:
                yield call, position
