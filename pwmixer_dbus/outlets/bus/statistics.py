"""What is measured, on the bus: the methods of the root that tell it. Imported when somebody asks for the first time."""

import os
from collections.abc import Callable, Mapping
from json import dumps

from pwmixer_dbus.core.tally import KEPT
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.call import Call, options_of
from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.followers import Followers
from pwmixer_dbus.system.diagnostics import statistics, trace


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
