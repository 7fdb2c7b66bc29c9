"""What is measured, on the bus: the methods of the root that tell it. Imported when somebody asks for the first time."""

from collections.abc import Callable, Mapping
from json import dumps

from pwmixer_dbus.diagnostics import statistics
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.methods import Call


class StatisticsMethods:
    """Carries out methods by name."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._by_name: Mapping[str, Callable[[Call], None]] = {"Stats": self._stats}

    def carry_out(self, name: str, call: Call) -> None:
        """Carry out a method; raises MixerError for what is refused at once."""
        self._by_name[name](call)

    def _stats(self, call: Call) -> None:
        call.reply(dumps(statistics(self._mixer), ensure_ascii=False))
