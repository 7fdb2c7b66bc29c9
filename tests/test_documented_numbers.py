"""Numbers that the documents promise are those of the code: whoever changes one changes the other, and thinks of it."""

from pathlib import Path

import pytest

from pwmixer_dbus.announcer import RATE
from pwmixer_dbus.config.store import FIRST_PAUSE, LONGEST_PAUSE
from pwmixer_dbus.core import memory, metering, rules, tally
from pwmixer_dbus.core.commands import CONTEXT_LIMIT
from pwmixer_dbus.core.fading import STEP
from pwmixer_dbus.core.measures import PENDING
from pwmixer_dbus.core.model import TEXT_LIMIT
from pwmixer_dbus.core.patterns import GLOB_LIMIT, TOTAL_LIMIT
from pwmixer_dbus.core.selectors import SELECTOR_LIMIT
from pwmixer_dbus.core.words import ERROR_TEXT_LIMIT
from pwmixer_dbus.lanes import GIVE_UP, PACE
from pwmixer_dbus.outlets import barsignal, stats
from pwmixer_dbus.outlets.bus import holds, meters, methods
from pwmixer_dbus.outlets.bus.statistics import FOLLOWERS
from pwmixer_dbus.outlets.socket import link
from pwmixer_dbus.outlets.socket.lines import LINE_LIMIT
from pwmixer_dbus.outlets.socket.listener import CLIENTS
from pwmixer_dbus.system import profiling

DOCS = Path(__file__).parents[1] / "docs"
WORDS = {3: "three", 5: "five"}


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("bars", f"at most every {1000 * barsignal.SPACING:.0f} ms"),
        ("configuration", f"At most {rules.PROBLEM_LIMIT} problems are listed at once"),
        ("configuration", f"a glob, which may have {GLOB_LIMIT} of its signs"),
        ("configuration", f"There can be {rules.RULE_LIMIT} rules in both files together"),
        ("configuration", f"all patterns of a file may count for {TOTAL_LIMIT}:"),
        ("dbus-api", f"The patterns of a file may count for {TOTAL_LIMIT} together"),
        ("dbus-api", f"then at most {RATE:.0f} times a second"),
        ("dbus-api", f"At most {1 / PACE:.0f} volumes a second are sent"),
        ("dbus-api", f"The sound server is given {GIVE_UP:.0f} s for a change"),
        ("dbus-api", f"At most {methods.OPEN_CALLS:_} calls may wait".replace("_", " ")),
        ("dbus-api", f"{SELECTOR_LIMIT} characters, and a glob {GLOB_LIMIT} signs"),
        ("dbus-api", f"Text from programs has at most {TEXT_LIMIT} characters"),
        ("dbus-api", f"an error's message has at most {ERROR_TEXT_LIMIT}."),
        ("dbus-api", f"cut after {CONTEXT_LIMIT} characters"),
        ("dbus-api", f"at most {1 / STEP:.0f} times a second, and in steps of"),
        ("dbus-api", f"Writes many properties of up to {methods.CHANGES_LIMIT} objects"),
        ("dbus-api", f"most {holds.HOLDS} holds"),
        ("dbus-api", f"At most {FOLLOWERS} clients can follow"),
        (
            "memory",
            f"more than {memory.APPS} applications, {memory.DEVICES} devices, or {memory.DEVICES_PER_APP} devices of one",
        ),
        (
            "memory",
            f"After {WORDS[memory.CORRECTIONS]} corrections of one stream within {memory.CORRECTIONS_IN:.0f} seconds",
        ),
        ("memory", f"after {FIRST_PAUSE:.0f} s, {2 * FIRST_PAUSE:.0f} s, and so on up to every five minutes"),
        ("memory", f"up to every {WORDS[int(LONGEST_PAUSE) // 60]} minutes"),
        ("meters", f"by default {metering.USUAL:.0f}, at most {metering.FASTEST:.0f}"),
        (
            "meters",
            f"{metering.TARGETS} targets of one meter, {meters.PER_CLIENT} meters of one client, and {meters.AT_ALL} meters in all",
        ),
        ("meters", f"finds {['no', 'one', 'two', 'three', 'four'][meters.KEPT]} older frames"),
        ("socket", f"A line has at most {LINE_LIMIT // 1024} KiB, and there are at most {CLIENTS} clients"),
        ("socket", f"after {link.PATIENCE:.0f} s it is dropped"),
        ("statistics", f"or {PENDING} notes at a time"),
        ("statistics", f"younger than {tally.NEW:.0f} s when they move"),
        ("statistics", f"At most {tally.COSTS} objects and {tally.CALLERS} callers are kept"),
        ("statistics", f"The last {tally.KEPT} events are kept"),
        ("statistics", f"{tally.WORDS - 1} different ones are kept"),
        ("statistics", f"at most every {WORDS[int(stats.EVERY)]} seconds"),
        ("statistics", f"for 1 to {profiling.LONGEST} s"),
        ("statistics", f"the last {WORDS[profiling.KEPT]} are kept"),
    ],
)
def test_a_number_of_the_documents_is_that_of_the_code(page: str, sentence: str) -> None:
    assert sentence in " ".join((DOCS / f"{page}.md").read_text(encoding="utf-8").split())
