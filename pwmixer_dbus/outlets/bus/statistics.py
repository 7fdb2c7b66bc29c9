"""What is measured, on the bus: the methods of the root that tell it. Imported when somebody asks for the first time.

Who follows the trace gets what has happened, in bunches; while nobody does, nothing of that runs.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from json import dumps

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core.errors import LimitsExceededError
from pwmixer_dbus.core.tally import KEPT
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.call import Call, options_of
from pwmixer_dbus.outlets.bus.connection import BACKLOG, BusConnection
from pwmixer_dbus.outlets.bus.interfaces import MIXER
from pwmixer_dbus.outlets.bus.paths import ROOT
from pwmixer_dbus.system.diagnostics import statistics, trace

EVERY = 0.1
"""Seconds from something that happens until it is sent, with what follows it."""

FOLLOWERS = 16
"""How many may follow at once."""


class Followers:
    """Clients that get each event of the trace from when they asked for it until they leave the bus."""

    def __init__(self, mixer: Mixer, connection: BusConnection) -> None:
        self._mixer = mixer
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._send)
        self._next: dict[str, int] = {}
        self._forget: dict[str, Callable[[], None]] = {}

    def follow(self, client: str) -> None:
        """Send a client what happens from now on; raises LimitsExceededError."""
        if client in self._next:
            return
        if len(self._next) >= FOLLOWERS:
            raise LimitsExceededError(f"{FOLLOWERS} clients follow the trace already.")
        if not self._next:
            self._mixer.measures.when_active(self._plan)
            self._mixer.measures.clients["followers"] = lambda: len(self._next)
        self._next[client] = self._mixer.measures.counted().number
        self._forget[client] = self._connection.when_gone(client, partial(self.leave, client))

    @property
    def clients(self) -> tuple[str, ...]:
        """Who follows, by unique name."""
        return tuple(self._next)

    def leave(self, client: str) -> None:
        """Send a client nothing any more; no-op for one that does not follow."""
        if self._next.pop(client, None) is None:
            return
        self._forget.pop(client)()
        if not self._next:
            self._mixer.measures.no_longer(self._plan)
            del self._mixer.measures.clients["followers"]
            self._alarm.stop()

    def _plan(self) -> None:
        self._alarm.by(self._loop.time() + EVERY)

    def _send(self) -> None:
        self._mixer.tell_levels()
        self._mixer.measures.when_active(self._plan)
        if self._connection.backlog > BACKLOG:
            return  # what is not kept until later is missing then, which the numbers say
        number = self._mixer.measures.counted().number
        for client, since in self._next.items():
            self._next[client] = number
            if since < number:
                text = trace(self._mixer, since)
                self._connection.send(MIXER.signal(ROOT, "Traced", [text], to=client))


class StatisticsMethods:
    """Carries out methods by name."""

    def __init__(self, mixer: Mixer, connection: BusConnection) -> None:
        self._mixer = mixer
        self.followers = Followers(mixer, connection)
        self._by_name: Mapping[str, Callable[[Call], None]] = {
            "Stats": self._stats,
            "Trace": self._trace,
            "FollowTrace": self._follow_trace,
            "Profile": self._profile,
        }

    def carry_out(self, call: Call) -> None:
        """Carry out a method; raises MixerError for what is refused at once."""
        self._by_name[call.name](call)

    def _stats(self, call: Call) -> None:
        call.reply(dumps(statistics(self._mixer), ensure_ascii=False))

    def _trace(self, call: Call) -> None:
        last = options_of(call.arguments[0], {"last": "u"}).get("last", KEPT)
        since = self._mixer.measures.counted().number - last
        call.reply(trace(self._mixer, since))

    def _follow_trace(self, call: Call) -> None:
        (follow,) = call.arguments
        if follow:
            self.followers.follow(call.client)
        else:
            self.followers.leave(call.client)
        call.reply()

    def _profile(self, call: Call) -> None:
        from pwmixer_dbus.system.profiling import profile  # noqa: PLC0415 - hardly anybody asks for one

        call.reply(str(profile(call.arguments[0], os.environ)))
