"""What each operation costs in system calls and in requests to the sound server, and what it leaves behind. For times, see scripts/bench.

Of the system calls, libpulse makes four for each message that it reads and two for one that it writes; the rest are the bus's.
"""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pulsectl
import pytest
from service import ROOT, Json, Service
from session import PATIENCE, Session
from talk import Talk, place
from test_life_cycle import has_written_its_code

from pwmixer_dbus.lanes import SHOWN_SOON

PLAIN = (sys.executable, "-m", "pwmixer_dbus.start")
NO_GRACE = "[memory]\ngrace = 0.0\n"
"""What another program sets right after the service's start is taken for the player's own doing otherwise, and corrected."""

MANY = 20
A_SAVE = {"clone3": 1, "gettid": 1, "rt_sigprocmask": 2, "getpid": 4, "recvfrom": 2, "epoll_wait": 1}
"""System calls of the loop for each file that is saved: a thread starts, and wakes the loop when it has ended."""

PAGES = 64 * 1024
"""Bytes: memory is counted in pages, of the kernel's and of Python's."""

Act = Callable[[], object]


class Costs:
    """A service as it runs on a desktop, with one stream, whose volume is another one each time."""

    def __init__(self, service: Service, stream: Json) -> None:
        self.service = service
        self.selector = stream["selector"]
        self.path = f"{ROOT}/streams/{stream['number']}"
        self._levels = count()

    @property
    def pid(self) -> int:
        """The service's process."""
        return self.service.process.pid

    def next_level(self) -> float:
        """Return a volume that differs from those before."""
        return (20 + next(self._levels) * 7 % 70) / 100

    def counted(self, act: Act) -> Counter[str]:
        """Return what the service counts while something is done `MANY` times."""
        before = self._quiet_counters()
        for _ in range(MANY):
            act()
        after = self._counters()
        after.subtract(before)
        return after

    def system_calls(self, act: Act) -> Counter[str]:
        """Return the system calls of the service's loop, by name, while something is done `MANY` times.

        Where a file is saved meanwhile, that is another thread's, and so is waiting for each other. How often one is, is a
        matter of time, so its thread's start and end are left out.
        """
        file = self.service.session.runtime / "calls"
        with traced(self.pid, file):
            for _ in range(MANY):
                act()
        found = Counter(re.findall(rf"^{self.pid} +(\w+)\(", file.read_text(), re.MULTILINE))
        del found["futex"]
        return found - Counter({name: times * found["clone3"] for name, times in A_SAVE.items()})

    def system_calls_of_commands(self, act: Act) -> tuple[Counter[str], int]:
        """Return them, and how many commands took so long that they may have been answered before their volume was shown.

        Such a one costs a message more, since the signals come after the answer then, which a busy machine has many of.
        """
        took: list[float] = []

        def timed() -> None:
            began = time.monotonic()
            act()
            took.append(time.monotonic() - began)

        return self.system_calls(timed), sum(seconds > SHOWN_SOON for seconds in took)

    def left_behind(self, act: Act) -> tuple[int, int]:
        """Return how many descriptors and bytes more there are after something has been done."""
        before = open_files(self.pid), own_memory(self.pid)
        act()
        return open_files(self.pid) - before[0], own_memory(self.pid) - before[1]

    def _quiet_counters(self) -> Counter[str]:
        """Return what is counted when what came before is over: of a program that has just come, there may be one more look."""
        counted = [self._counters()]

        def is_quiet() -> bool:
            counted.append(self._counters())
            return all(counted[-1][name] == counted[-2][name] for name in ("notices", "fetches"))

        self.service.session.wait_for(is_quiet, "the service to be quiet")
        return counted[-1]

    def _counters(self) -> Counter[str]:
        return Counter(json.loads(self.service.call("Stats"))["counters"])


@pytest.fixture(scope="module")
def costs() -> Iterator[Costs]:
    with Session() as session:
        session.add_null_sink("speakers", "Speakers")
        session.play("Radio", sink="speakers")
        session.configure(NO_GRACE)
        service = Service(session)
        service.process = session.spawn(service.name, *PLAIN)
        session.wait_for_child(service.name, service.is_owner, "to own its name")
        service.wait_connected()
        session.wait_for(lambda: has_written_its_code(service), "the byte code of the next start")
        yield Costs(service, service.wait_for_stream("Radio", device="speakers"))
        service.stop()


def test_a_command_on_the_bus_is_one_request_one_look_and_one_message_back(costs: Costs) -> None:
    def set_volume() -> None:
        costs.service.call("SetVolume", "sda{sv}", costs.selector, costs.next_level(), 0)

    told = costs.counted(set_volume)
    assert told["commands"] == told["notices"] == told["fetches"] == MANY
    calls, late = costs.system_calls_of_commands(set_volume)
    # The command, the look, and the signals with the reply.
    assert 3 * MANY <= calls["sendto"] <= 3 * MANY + 4 + late, calls
    assert calls.total() <= 29 * MANY, calls


def test_a_command_on_the_socket_costs_its_answer_more(costs: Costs) -> None:
    with Talk(place(costs.service.session)) as talk:

        def set_volume() -> None:
            assert talk.ask(f"SET_VOLUME {costs.selector} {costs.next_level()}").startswith("OK")

        told = costs.counted(set_volume)
        assert told["commands"] == told["notices"] == told["fetches"] == MANY
        calls, late = costs.system_calls_of_commands(set_volume)
    assert 3 * MANY <= calls["sendto"] <= 5 * MANY + 2 + late, calls
    assert calls.total() <= 29 * MANY, calls


def test_a_change_by_another_program_is_one_look_and_one_message(costs: Costs) -> None:
    session = costs.service.session
    with (
        Talk(place(session)) as talk,
        pulsectl.Pulse("another", server=session.env["PULSE_SERVER"]) as pulse,
    ):
        (stream,) = pulse.sink_input_list()
        assert talk.ask("WATCH").startswith("OK")

        def change() -> None:
            level = costs.next_level()
            pulse.volume_set_all_chans(stream, level)
            shown = f"CHANGED {costs.selector} volume "
            while not (line := talk.line()).startswith(shown) or abs(float(line.split()[3]) - level) > 0.001:
                pass

        told = costs.counted(change)
        assert told["commands"] == 0
        assert told["notices"] == told["fetches"] == MANY
        calls = costs.system_calls(change)
    # The look, the signals, and the lines to who watches.
    assert 3 * MANY <= calls["sendto"] <= 6 * MANY + 2, calls
    assert calls.total() <= 26 * MANY, calls


def test_a_look_asks_the_sound_server_nothing(costs: Costs) -> None:
    def look() -> None:
        costs.service.get("Volume", path=costs.path, interface="Node")

    told = costs.counted(look)
    assert told["commands"] == 0
    assert told["fetches"] <= 2, "at most what a program that has left meanwhile leads to"
    with Talk(place(costs.service.session)) as talk:
        for act in (look, lambda: talk.ask("GET_VOLUME @sink")):
            calls = costs.system_calls(act)
            # The answers. What was set before may be saved meanwhile; libpulse is the only one to poll.
            assert calls["poll"] < MANY, calls
            assert MANY <= calls["sendto"] <= MANY + 2, calls
            assert calls["epoll_wait"] <= 2 * MANY + 10, calls


def test_commands_notices_and_clients_leave_nothing_behind(costs: Costs) -> None:
    session = costs.service.session

    def visit() -> None:
        for _ in range(5 * MANY):
            with Talk(place(session)) as talk:
                talk.ask("GET_VOLUME @sink")
        with Talk(place(session)) as talk:
            for _ in range(2 * MANY):
                assert talk.ask(f"SET_VOLUME {costs.selector} {costs.next_level()}").startswith("OK")
        costs.service.call("SetVolume", "sda{sv}", costs.selector, costs.next_level(), 0)
        session.wait_for(lambda: not is_saving(costs.pid), "what is saved to be saved")

    # Tables fill and pools grow at first; what goes on growing does so each time. Twenty thousand are for scripts/bench growth.
    found = [costs.left_behind(visit) for _ in range(3)]
    assert min(descriptors for descriptors, _ in found) <= 0, found
    assert min(grown for _, grown in found) <= PAGES, found


@contextmanager
def traced(pid: int, file: Path) -> Iterator[None]:
    """Have strace write down what a process does."""
    command = ("strace", "-f", "-o", str(file), "-p", str(pid))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            assert tracer.stderr is not None
            assert "attached" in tracer.stderr.readline()
            yield
        finally:
            tracer.terminate()
            tracer.wait(PATIENCE)


def open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def is_saving(pid: int) -> bool:
    """Whether the service has a thread, which it has while it writes a file."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()) > 1


def own_memory(pid: int) -> int:
    (kilobytes,) = re.findall(
        r"^Private_Dirty: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE
    )
    return 1024 * int(kilobytes)
