"""Holds of the routing: a program asks that its streams, or others, stay where they are while it does something with them.

A hold belongs to the connection that asked for it, and ends with it at the latest.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from dbus_fast import Variant

from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.errors import LimitsExceededError, MixerError, NotSupportedError
from pwmixer_dbus.core.model import App, Group, Key, Stream, clean
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.routing import Hold
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.interfaces import MIXER
from pwmixer_dbus.outlets.bus.paths import ROOT
from pwmixer_dbus.router import Router

HOLDS = 100
"""How many holds there can be at one time."""

REASON_LIMIT = 128


class NoSuchHoldError(MixerError):
    """A hold that the caller does not have, or no longer."""

    dbus_name = "org.pwmixer.Error.NoSuchHold"


class Holds:
    """All holds by their cookies. `on_change` is called after each change of them."""

    def __init__(
        self, mixer: Mixer, router: Router, connection: BusConnection, on_change: Callable[[], None]
    ) -> None:
        self._mixer = mixer
        self._router = router
        self._connection = connection
        self._on_change = on_change
        self._holds: dict[int, Hold] = {}
        self._forget: dict[int, Callable[[], None]] = {}
        self._next_cookie = 1
        self._unsubscribe: Callable[[], None] | None = None

    def hold(self, client: str, selector: str, targets: Sequence[Target], reason: str, app_id: str) -> int:
        """Hold what a selector names; return the cookie. Raises NotSupportedError, LimitsExceededError."""
        for target in targets:
            if not isinstance(target, App | Group | Stream):
                raise NotSupportedError(
                    f"{selector_of(target)} is not routed anywhere; hold a stream, an application or a group."
                )
        if len(self._holds) >= HOLDS:
            raise LimitsExceededError(f"There are {HOLDS} holds already; release one.")
        cookie, self._next_cookie = self._next_cookie, self._next_cookie + 1
        self._take(
            Hold(
                cookie=cookie,
                client=client,
                target=clean(selector),
                reason=clean(reason, REASON_LIMIT),
                app_id=clean(app_id, REASON_LIMIT),
                apps=frozenset(t.app_id for t in targets if isinstance(t, App)),
                streams=frozenset(key for t in targets for key in _single_streams(t)),
            )
        )
        self._changed()
        return cookie

    def hand_over(self) -> tuple[tuple[Hold, ...], int]:
        """Give up all holds, and return them and the next cookie for another instance."""
        holds, self._holds = self._holds, {}
        for cookie in holds:
            self._forget.pop(cookie)()
        return tuple(holds.values()), self._next_cookie

    def take_over(self, holds: Iterable[Hold], next_cookie: int) -> None:
        """Go on with holds that were handed over; those of clients that have left meanwhile end at once."""
        self._next_cookie = next_cookie
        for hold in holds:
            self._take(hold)
        self._hold()

    def _take(self, hold: Hold) -> None:
        self._holds[hold.cookie] = hold
        self._forget[hold.cookie] = self._connection.when_gone(hold.client, partial(self._end, hold.cookie))

    def release(self, client: str, cookie: int) -> None:
        """End a hold of a client; raises NoSuchHoldError for one that it does not have."""
        hold = self._holds.get(cookie)
        if hold is None or hold.client != client:
            raise NoSuchHoldError(
                f"You have no hold with the cookie {cookie}; perhaps it has ended by itself."
            )
        self._end(cookie)

    def listed(self) -> list[dict[str, Variant]]:
        """Return the holds as aa{sv}, oldest first."""
        return [
            {
                "cookie": Variant("u", cookie),
                "target": Variant("s", hold.target),
                "reason": Variant("s", hold.reason),
                "app_id": Variant("s", hold.app_id),
                "client": Variant("s", hold.client),
            }
            for cookie, hold in self._holds.items()
        ]

    def _end(self, cookie: int) -> None:
        # What it held may have ended while its client was already known to leave.
        if self._holds.pop(cookie, None) is not None:
            self._forget.pop(cookie)()
            self._changed()

    def _changed(self) -> None:
        self._hold()
        self._on_change()

    def _hold(self) -> None:
        """Tell the router, and look out for the ends of streams only while some are held."""
        if self._holds and self._unsubscribe is None:
            self._unsubscribe = self._mixer.subscribe(self._look, levels=False)
        elif not self._holds and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        apps = frozenset[str]().union(*(hold.apps for hold in self._holds.values()))
        streams = frozenset[Key]().union(*(hold.streams for hold in self._holds.values()))
        self._router.hold(apps, streams)

    def _look(self, _before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        """Let go of streams that end, since others may have their indexes later, and end the holds of which all have."""
        ended = {
            (change.before.kind, change.before.index)
            for change in changes
            if change.after is None and isinstance(change.before, Stream)
        }
        for cookie, hold in list(self._holds.items()):
            if hold.streams.isdisjoint(ended):
                continue
            self._holds[cookie] = left = replace(hold, streams=hold.streams - ended)
            if left.apps or left.streams:
                self._hold()
                continue
            self._end(cookie)
            body = [cookie, "What was held has ended."]
            self._connection.send(MIXER.signal(ROOT, "HoldReleased", body, to=hold.client))


def _single_streams(target: Target) -> Iterable[Key]:
    """List the streams that are held one by one; a group's are those that are in it now."""
    match target:
        case Stream():
            return ((target.kind, target.index),)
        case Group():
            return target.streams
        case _:
            return ()
