"""Whatever a line is: it has one answer, what is refused changes nothing, and what is accepted is as the answer says.

`FUZZ_EXAMPLES=20000` tries more.
"""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from jumping import jumped
from test_socket_clients import Caller, Office, settled
from test_socket_json import actions

from pwmixer_dbus.core import verbs
from pwmixer_dbus.core.state import MixerState

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))

WORDS = st.sampled_from(
    [
        *(
            "sink1",
            "sink3",
            "@sink",
            "@source",
            "music",
            "app:music",
            "app:*",
            "sink:*",
            "stream:1",
            "group:x",
        ),
        *(
            "0.3",
            "1.0",
            "0",
            "1.5",
            "150%",
            "40%",
            "true",
            "false",
            "toggle",
            "apps",
            '"sink1"',
            "'a b'",
            '"',
        ),
        *(
            "SET_VOLUME",
            "MUTE",
            "VOLUME_UP",
            "VOLUME_DOWN",
            "GET_VOLUME",
            "GET_MUTE",
            "ROUTE",
            "LIST",
            "RELOAD_CONFIG",
        ),
    ]
)
COMMANDS = st.one_of(
    st.builds("SET_VOLUME {} {}".format, WORDS, st.floats(0, 1.5).map(lambda v: f"{v:.6f}") | WORDS),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["VOLUME_UP", "VOLUME_DOWN"]),
        WORDS,
        st.sampled_from(["", "0.1", "5%"]),
    ),
    st.builds("MUTE {} {}".format, WORDS, st.sampled_from(["true", "false", "toggle"])),
    st.builds("ROUTE {} {}".format, WORDS, WORDS),
    st.lists(WORDS | st.text(max_size=5), max_size=5).map(" ".join),
)
MESSAGES = st.builds(
    lambda action, target: json.dumps({**action, **target}),
    actions().filter(lambda action: action.get("action") != "subscribe"),
    st.sampled_from([{"target": "@sink"}, {"target": "app:music"}, {"app": "music"}, {}]),
)
LINES = (
    (COMMANDS | MESSAGES | st.text()).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=40)
).map(lambda line: line.replace(b"\n", b""))


@settings(derandomize=EXAMPLES <= 100, max_examples=EXAMPLES)
@given(lines=st.lists(LINES, min_size=1, max_size=12))
def test_whatever_a_line_is_the_state_is_as_its_answer_says(lines: list[bytes]) -> None:
    async def main(folder: str) -> None:
        office = Office(Path(folder, "socket"))
        caller = office.call()
        for line in lines:
            await look_at(office, caller, line)
        office.close()
        await settled()

    with tempfile.TemporaryDirectory() as folder:
        jumped(main(folder))


async def look_at(office: Office, caller: Caller, line: bytes) -> None:
    before, sent = office.mixer.state, len(office.sent)
    await caller.say(line)
    while office.unanswered:
        office.follow()
        await asyncio.sleep(0.02)
    answer, *rest = await caller.hear()
    if answer.startswith("{"):
        said: dict[str, Any] = json.loads(answer)
        is_refused = not said["ok"]
    else:
        is_refused, said = answer.startswith("ERROR "), {}
        assert is_refused or answer.startswith("OK")
        if line.startswith((b"SET_VOLUME", b"VOLUME")) and not is_refused:
            said = {"volume": float(answer.split()[1])}
    listed = int(answer.split()[1]) if line.split()[:1] == [b"LIST"] and not is_refused else 0
    assert len(rest) == listed, (line, answer, rest)
    if is_refused:
        event("refused")
        assert office.mixer.state is before, (line, answer)
        assert len(office.sent) == sent
    elif "volume" in said and len(office.sent) > sent:
        event("accepted")
        assert said["volume"] == loudest_of_the_last(office), (line, answer)


def loudest_of_the_last(office: Office) -> float:
    """Return the volume that is shown of what was changed last."""
    state: MixerState = office.mixer.state
    key = office.sent[-1][1].key
    return verbs.volume_of(state, {}, state.devices[key] if key[0].is_device else state.streams[key])
