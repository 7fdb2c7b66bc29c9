"""Every bad selector, number, type, path or text gets the documented D-Bus error, or a clamp that says so.

The message of an error is enough by itself; the service logs no traceback, and its state stays the server's.
"""

import asyncio
import io
import math
import os
import shutil
import wave
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from calls import called, signed_in, spoken
from compare import differences, wait_until_equal
from dbus_fast import Message, MessageType, Variant
from defaults import connected
from fuzz import PROPERTIES, Fuzz, on_the_bus
from recorder import Recorder
from service import ALIAS, NAME, ROOT, Json, Service
from session import Session

STANDARD = "org.freedesktop.DBus.Error."
OURS = "org.pwmixer.Error."
INVALID, NOT_SUPPORTED = f"{STANDARD}InvalidArgs", f"{STANDARD}NotSupported"
NOT_FOUND, AMBIGUOUS = f"{OURS}NotFound", f"{OURS}Ambiguous"
UNKNOWN_OBJECT, UNKNOWN_INTERFACE = f"{STANDARD}UnknownObject", f"{STANDARD}UnknownInterface"
UNKNOWN_METHOD, UNKNOWN_PROPERTY = f"{STANDARD}UnknownMethod", f"{STANDARD}UnknownProperty"
READ_ONLY, LIMITS, STALE = f"{STANDARD}PropertyReadOnly", f"{STANDARD}LimitsExceeded", f"{OURS}Stale"
NOT_CONNECTED = f"{OURS}NotConnected"
DOCUMENTED = {
    *(INVALID, NOT_SUPPORTED, NOT_FOUND, AMBIGUOUS, UNKNOWN_OBJECT, UNKNOWN_INTERFACE, UNKNOWN_METHOD),
    *(UNKNOWN_PROPERTY, READ_ONLY, LIMITS, f"{OURS}AudioServer", f"{OURS}Timeout", f"{OURS}NoSuchHold"),
    STALE,
}
MANAGER = "org.freedesktop.DBus.ObjectManager"
NODE, DEVICE, STREAM = (f"{NAME}.{name}" for name in ("Node", "Device", "Stream"))
SPEAKERS, RADIO, RADIO_APP = f"{ROOT}/sinks/speakers", f"{ROOT}/streams/1", f"{ROOT}/apps/name_3aradio"

APPLY, TRUE = "ta(oa{sv})a{sv}", Variant("b", True)

BadCall = tuple[str, str | None, str, str, list[Any]]

# Method of the root, signature, arguments; the error, and words that its message has.
CALLS: tuple[tuple[str, str, list[Any], str, str], ...] = (
    ("SetVolume", "sda{sv}", ["@sink", math.nan, {}], INVALID, "finite number, such as 0.5 for 50 %"),
    ("SetVolume", "sda{sv}", ["@sink", math.inf, {}], INVALID, "finite number"),
    ("SetVolume", "sda{sv}", ["@sink", -math.inf, {}], INVALID, "finite number"),
    ("AdjustVolume", "sda{sv}", ["@sink", math.nan, {}], INVALID, "finite number"),
    ("AdjustVolume", "sda{sv}", ["app:radio", -math.inf, {}], INVALID, "finite number"),
    ("SetVolume", "sda{sv}", ["", 0.5, {}], INVALID, "is no target; use @sink"),
    ("SetVolume", "sda{sv}", ["radio", 0.5, {}], INVALID, "did you mean app:radio?"),
    ("SetVolume", "sda{sv}", ["Speakers", 0.5, {}], INVALID, "did you mean sink:speakers?"),
    ("SetVolume", "sda{sv}", ["sink:", 0.5, {}], INVALID, "is no target"),
    ("SetVolume", "sda{sv}", ["printer:x", 0.5, {}], INVALID, "“printer:” is no kind of target"),
    ("SetVolume", "sda{sv}", ["sink:nowhere", 0.5, {}], NOT_FOUND, "There is sink:speakers, sink:headset"),
    ("SetVolume", "sda{sv}", ["app:" + "x" * 600, 0.5, {}], INVALID, "at most 519 characters"),
    ("SetVolume", "sda{sv}", ["sink:\x1b[2J\x07\u202e", 0.5, {}], NOT_FOUND, "Nothing is called “sink:[2J”"),
    ("SetVolume", "sda{sv}", ["stream:x", 0.5, {}], INVALID, "needs a whole number"),
    ("SetVolume", "sda{sv}", ["stream:٣", 0.5, {}], INVALID, "needs a whole number"),
    ("SetVolume", "sda{sv}", ["stream:99999999999", 0.5, {}], INVALID, "needs a whole number"),
    ("SetVolume", "sda{sv}", ["stream:7", 0.5, {}], NOT_FOUND, "streams come and go"),
    ("SetVolume", "sda{sv}", ["pid:-1", 0.5, {}], INVALID, "needs a whole number"),
    ("SetVolume", "sda{sv}", ["pid:4294967296", 0.5, {}], NOT_FOUND, "Process 4294967296, its children"),
    ("SetVolume", "sda{sv}", ["card:*", 0.5, {}], NOT_FOUND, "Nothing is called “card:*”"),
    ("SetVolume", "sda{sv}", [f"{ROOT}/sinks/gone", 0.5, {}], NOT_FOUND, "There is no object at"),
    ("SetVolume", "sda{sv}", [ROOT, 0.5, {}], NOT_FOUND, "There is no object at"),
    ("SetVolume", "sda{sv}", ["@sink", 0.5, {"loud": Variant("b", True)}], INVALID, "no option “loud”"),
    (
        "SetVolume",
        "sda{sv}",
        ["@sink", 0.5, {"quiet": Variant("s", "x")}],
        INVALID,
        "has the type “b”, not “s”",
    ),
    ("SetVolume", "sda{sv}", ["@sink", 0.5, {"limit": Variant("d", math.nan)}], INVALID, "The option limit"),
    ("SetVolume", "sdas", ["@sink", 0.5, []], INVALID, "takes the signature “sda{sv}”, not “sdas”"),
    ("SetVolume", "", [], INVALID, "takes the signature “sda{sv}”"),
    ("Describe", "", [], INVALID, "takes the signature “a{sv}”"),
    ("ReloadConfig", "s", ["x"], INVALID, "takes no arguments"),
    ("SetMuted", "ssa{sv}", ["@sink", "maybe", {}], INVALID, "on, off or toggle; got “maybe”"),
    ("SetMuted", "ssa{sv}", ["@sink", "x" * 9000, {}], INVALID, "on, off or toggle"),
    ("SetDefault", "s", ["sink:*"], AMBIGUOUS, "sink:speakers, sink:headset"),
    (
        "SetDefault",
        "s",
        ["loud"],
        NOT_FOUND,
        "No sink and no source is called “loud” now. There is sink:speakers,",
    ),
    ("SetPort", "ss", ["loud", "x"], NOT_FOUND, "No sink and no source is called “loud” now."),
    ("SetProfile", "ss", ["loud", "x"], NOT_FOUND, "No card is called “loud” now. There is no card at all."),
    ("SetDefault", "s", ["app:radio"], NOT_SUPPORTED, "only a sink or a source can"),
    ("SetDefault", "s", ["source:speakers.monitor"], NOT_SUPPORTED, "only listens to a sink"),
    (
        "Move",
        "ssa{sv}",
        ["stream:1", "nowhere", {}],
        NOT_FOUND,
        "No sink and no source is called “nowhere” now. There is sink:speakers,",
    ),
    ("Move", "ssa{sv}", ["stream:1", "sink:nowhere", {}], NOT_FOUND, "Nothing is called"),
    ("Move", "ssa{sv}", ["stream:1", "source:microphone", {}], INVALID, "can be moved to a sink"),
    ("Move", "ssa{sv}", ["stream:1", "app:radio", {}], INVALID, "is no sink or source"),
    ("Move", "ssa{sv}", ["sink:headset", "sink:speakers", {}], NOT_SUPPORTED, "cannot be moved"),
    ("SetPort", "ss", ["@sink", "telepathy"], NOT_FOUND, "has no port “telepathy”; it has none"),
    ("SetPort", "ss", ["app:radio", "x"], NOT_SUPPORTED, "has no ports"),
    ("SetProfile", "ss", ["card:x", "y"], NOT_FOUND, "Nothing is called “card:x”"),
    ("SetProfile", "ss", ["@sink", "y"], NOT_SUPPORTED, "only a card has"),
    ("ExplainStream", "s", ["@sink"], INVALID, "sink:speakers is no stream; use stream:N"),
    ("Resolve", "s", ["sink:["], NOT_FOUND, "Nothing is called"),
    ("Apply", APPLY, [0, [["/nowhere", {"Muted": TRUE}]], {}], NOT_FOUND, "There is no object at /nowhere"),
    ("Apply", APPLY, [0, [[SPEAKERS, {"Loudness": TRUE}]], {}], UNKNOWN_PROPERTY, "“Loudness”"),
    ("Apply", APPLY, [0, [[SPEAKERS, {"Name": TRUE}]], {}], READ_ONLY, "cannot be written"),
    ("Apply", APPLY, [0, [[SPEAKERS, {"Volume": TRUE}]], {}], INVALID, "has the type “d”"),
    ("Apply", APPLY, [0, [[ROOT, {"MaxVolume": Variant("d", 1.0)}]], {}], NOT_FOUND, "There is no object at"),
    ("Apply", APPLY, [2**64 - 1, [], {}], STALE, "has moved on"),
    ("Apply", APPLY, [0, [[SPEAKERS, {}]] * 1001, {}], LIMITS, "At most 1000 objects"),
    ("Apply", APPLY, [0, [], {"limit": Variant("d", 1.0)}], INVALID, "no option “limit”"),
    (
        "Apply",
        APPLY,
        [0, [[RADIO, {"Muted": TRUE}], [SPEAKERS, {"Volume": Variant("d", math.nan)}]], {}],
        INVALID,
        "finite number",
    ),
    ("Undo", "i", [1], INVALID, "takes the signature “u”, not “i”"),
    ("Describe", "a{sv}", [{"pretty": Variant("b", True)}], INVALID, "no option “pretty”; there is: none"),
)

# Path, interface, member, signature, arguments; the error, and words that its message has.
OTHERS: tuple[tuple[str, str | None, str, str, list[Any], str, str], ...] = (
    ("/", NAME, "Describe", "a{sv}", [{}], UNKNOWN_INTERFACE, "/ has no interface org.pwmixer.Mixer"),
    ("/nowhere", NAME, "Describe", "a{sv}", [{}], UNKNOWN_OBJECT, "There is no object at /nowhere"),
    (f"{ROOT}/sinks/gone", NODE, "GetProperties", "", [], UNKNOWN_OBJECT, "There is no object at"),
    (f"{ROOT}/sinks/_zz", PROPERTIES, "GetAll", "s", [NODE], UNKNOWN_OBJECT, "There is no object at"),
    (f"{ROOT}/streams/01", PROPERTIES, "GetAll", "s", [NODE], UNKNOWN_OBJECT, "There is no object at"),
    (ROOT, NAME, "Explode", "", [], UNKNOWN_METHOD, "has no method Explode"),
    (ROOT, None, "Explode", "", [], UNKNOWN_METHOD, "has no method Explode"),
    (ROOT, "org.example.Other", "Describe", "", [], UNKNOWN_INTERFACE, "has no interface org.example.Other"),
    (SPEAKERS, MANAGER, "GetManagedObjects", "", [], UNKNOWN_INTERFACE, "has no interface"),
    (SPEAKERS, STREAM, "GetProperties", "", [], UNKNOWN_INTERFACE, "has no interface"),
    (SPEAKERS, PROPERTIES, "Get", "ss", [NODE, "Loudness"], UNKNOWN_PROPERTY, "has no property “Loudness”"),
    (SPEAKERS, PROPERTIES, "Get", "ss", [STREAM, "Device"], UNKNOWN_INTERFACE, "has no interface"),
    (SPEAKERS, PROPERTIES, "GetAll", "s", ["\x1b[2J"], UNKNOWN_INTERFACE, "has no interface “[2J”"),
    (SPEAKERS, PROPERTIES, "Set", "ssv", [NODE, "Name", Variant("s", "x")], READ_ONLY, "cannot be written"),
    (SPEAKERS, PROPERTIES, "Set", "ssv", [NODE, "Volume", Variant("s", "1")], INVALID, "has the type “d”"),
    (SPEAKERS, PROPERTIES, "Set", "ssv", [NODE, "Volume", Variant("i", 1)], INVALID, "has the type “d”"),
    (SPEAKERS, PROPERTIES, "Set", "ssv", [NODE, "Volume", Variant("d", math.nan)], INVALID, "finite number"),
    (SPEAKERS, PROPERTIES, "Set", "ssv", [NODE, "Muted", Variant("u", 1)], INVALID, "has the type “b”"),
    (SPEAKERS, PROPERTIES, "Set", "ssv", [NODE, "ChannelVolumes", Variant("ad", [])], INVALID, "2 in all"),
    (
        SPEAKERS,
        PROPERTIES,
        "Set",
        "ssv",
        [NODE, "ChannelVolumes", Variant("ad", [1.0] * 999)],
        INVALID,
        "channels",
    ),
    (
        SPEAKERS,
        PROPERTIES,
        "Set",
        "ssv",
        [NODE, "ChannelVolumes", Variant("ad", [0.1, math.inf])],
        INVALID,
        "finite",
    ),
    (
        RADIO_APP,
        PROPERTIES,
        "Set",
        "ssv",
        [NODE, "ChannelVolumes", Variant("ad", [1.0])],
        NOT_SUPPORTED,
        "channels",
    ),
    (SPEAKERS, PROPERTIES, "Set", "ssv", [DEVICE, "ActivePort", Variant("s", "x")], NOT_FOUND, "has no port"),
    (
        RADIO,
        PROPERTIES,
        "Set",
        "ssv",
        [STREAM, "Device", Variant("o", "/")],
        NOT_FOUND,
        "There is no object at /",
    ),
    (
        RADIO,
        PROPERTIES,
        "Set",
        "ssv",
        [STREAM, "Device", Variant("o", RADIO)],
        INVALID,
        "is no sink or source",
    ),
    (
        RADIO,
        PROPERTIES,
        "Set",
        "ssv",
        [STREAM, "Device", Variant("s", SPEAKERS)],
        INVALID,
        "has the type “o”",
    ),
    (ROOT, PROPERTIES, "Set", "ssv", [NAME, "MaxVolume", Variant("d", math.nan)], INVALID, "finite number"),
    (ROOT, PROPERTIES, "Set", "ssv", [NAME, "Version", Variant("s", "2")], READ_ONLY, "cannot be written"),
    (ROOT, PROPERTIES, "GetAll", "", [], INVALID, "takes the signature “s”"),
    (ROOT, "org.freedesktop.DBus.Introspectable", "Introspect", "s", ["x"], INVALID, "takes no arguments"),
)

# Method of the root, arguments; the volume in force, and what the clamp says that was asked for.
CLAMPS: tuple[tuple[str, list[Any], float, float], ...] = (
    ("SetVolume", ["@sink", 1e308, {}], 1.0, 1e308),
    ("SetVolume", ["@sink", -1e308, {}], 0.0, -1e308),
    ("SetVolume", ["@sink", 1.0001, {}], 1.0, 1.0001),
    ("SetVolume", ["@sink", -0.0001, {}], 0.0, -0.0001),
    ("AdjustVolume", ["@sink", 1e308, {}], 1.0, 10.0),
    ("AdjustVolume", ["@sink", -1e308, {}], 0.0, -1.0),
    ("SetVolume", ["app:radio", 65536.0, {}], 1.0, 65536.0),
    ("SetVolume", ["stream:1", -1.0, {}], 0.0, -1.0),
    ("SetVolume", ["@sink", 0.9, {"limit": Variant("d", -1.0)}], 0.5, 0.9),  # what is above a limit may stay
)


def is_sentence(text: str) -> bool:
    """Whether a person who sees nothing else is told something, and a terminal is not told anything."""
    return len(text) > 20 and text.isprintable() and text[-1] in ".?"


def complaint(reply: Message, what: object) -> str:
    """Say what is wrong with a reply to a bad call, "" where nothing is."""
    if reply.message_type is MessageType.METHOD_RETURN:
        return ""
    text = reply.body[0] if reply.body else ""
    if reply.error_name not in DOCUMENTED or not is_sentence(text):
        return f"{what}: {reply.error_name}: {text!r}"
    return ""


def test_each_bad_call_gets_its_error_and_a_sentence_that_is_enough(playing: Service) -> None:
    async def call_all(fuzz: Fuzz) -> list[str]:
        wrong = []
        rows = (*((ROOT, NAME, *call) for call in CALLS), *OTHERS)
        for path, interface, member, signature, arguments, error, words in rows:
            reply = await fuzz.send(path, interface, member, signature, arguments)
            text = str(reply.body)
            if reply.error_name != error or words not in text or not is_sentence(reply.body[0]):
                wrong.append(f"{path} {member} {arguments}: {reply.error_name} {text}")
        return wrong

    before = playing.describe()
    assert on_the_bus(playing, call_all) == []
    assert without_counters(playing.describe()) == without_counters(before)
    wait_until_equal(playing)


def without_counters(state: Json) -> Json:
    return {key: value for key, value in state.items() if key != "generation"}


def test_a_number_out_of_range_is_clamped_and_said(playing: Service) -> None:
    recorder = Recorder(playing)

    async def call_all(fuzz: Fuzz) -> list[object]:
        answers = []
        for member, arguments, _, _ in CLAMPS:
            target = arguments[0]
            await fuzz.send(ROOT, NAME, "SetVolume", "sda{sv}", [target, 0.5, {}])
            reply = await fuzz.send(ROOT, NAME, member, "sda{sv}", arguments)
            answers.append(reply.body[0])
        return answers

    assert on_the_bus(playing, call_all) == [in_force for _, _, in_force, _ in CLAMPS]
    wait_until_equal(playing)
    said = [m["payload"]["data"][1:3] for m in recorder.signals("VolumeClamped")]
    assert said == [[asked, in_force] for _, _, in_force, asked in CLAMPS]
    assert all(m["payload"]["data"][3] for m in recorder.signals("VolumeClamped"))


def test_the_highest_volume_itself_has_a_highest_value(playing: Service) -> None:
    for asked, in_force in ((1e308, 1.5), (-1e308, 0.0), (1.2, 1.2)):
        playing.set("MaxVolume", "d", asked, path=ROOT, interface="")
        assert playing.get("MaxVolume") == in_force
    assert playing.call("SetVolume", "sda{sv}", "@sink", 1.4, 0) == 1.2
    wait_until_equal(playing)


def test_what_needs_a_default_device_or_a_sound_server_says_so_while_there_is_none(
    bare_session: Session,
) -> None:
    service = Service(bare_session).start()
    sink = f"{ALIAS}/sink"
    volume = Variant("d", 0.5)
    assert service.get("State", path=sink, interface="Node") == "absent"
    assert service.get("DefaultSink") == "/"
    no_default = "There is no default sink at the moment."
    calls: tuple[BadCall, ...] = (
        (ROOT, NAME, "SetVolume", "sda{sv}", ["@sink", 0.5, {}]),
        (ROOT, NAME, "SetVolume", "sda{sv}", [sink, 0.5, {}]),
        (ROOT, NAME, "Apply", APPLY, [0, [[sink, {"Volume": volume}]], {}]),
        (sink, PROPERTIES, "Set", "ssv", [NODE, "Volume", volume]),
        (sink, NODE, "GetProperties", "", []),
    )

    async def call_all(fuzz: Fuzz) -> list[tuple[str | None, list[Any]]]:
        replies = [await fuzz.send(*call) for call in calls]
        return [(reply.error_name, reply.body) for reply in replies]

    assert on_the_bus(service, call_all) == [(NOT_FOUND, [no_default])] * len(calls)
    with connected(bare_session, "another mixer") as mixer:  # stays, as in tests/defaults.py
        mixer.module_load("module-null-sink", "sink_name=speakers")
        bare_session.wait_for(
            lambda: service.get("DefaultSink") == SPEAKERS, "the new sink to be the default"
        )
    bare_session.stop_sound()
    service.wait_connected(False)
    ((error, (message,)), *others) = on_the_bus(service, call_all)
    assert (error, is_sentence(message)) == (NOT_CONNECTED, True)
    assert others[:-1] == [(error, [message])] * 3
    service.stop()


def test_a_fuzzer_that_walks_the_introspection_finds_nothing(playing: Service) -> None:
    session = playing.session
    session.record("Recorder", source="microphone")
    session.play("Film", sink="headset", channels=6)
    session.wait_for(lambda: len(playing.describe()["streams"]) == 3, "three streams")

    async def fuzz_all(fuzz: Fuzz) -> tuple[int, list[str]]:
        calls: list[BadCall] = []
        for path, node in (await fuzz.walk()).items():
            for interface in node.findall("interface"):
                calls += bad_calls(fuzz, path, interface)
        fuzz.random.shuffle(calls)
        wrong = []
        for start in range(0, len(calls), 50):
            chunk = calls[start : start + 50]
            replies = await asyncio.gather(*(fuzz.send(*call) for call in chunk))
            wrong += [text for r, c in zip(replies, chunk, strict=True) if (text := complaint(r, c))]
        return len(calls), wrong

    count, wrong = on_the_bus(playing, fuzz_all)
    assert wrong == []
    assert count > 2000
    wait_until_equal(playing)
    assert playing.get("MaxVolume") <= 1.5


def test_who_takes_no_descriptors_is_told_so_when_he_opens_a_meter(playing: Service) -> None:
    async def open_meter(fuzz: Fuzz) -> Message:
        return await fuzz.send(ROOT, NAME, "OpenMeter", "asa{sv}", [["@sink"], {}])

    reply = on_the_bus(playing, open_meter)
    assert reply.error_name == "org.freedesktop.DBus.Error.NotSupported"
    assert "file descriptors" in reply.body[0]


def bad_calls(fuzz: Fuzz, path: str, interface: ET.Element) -> Iterator[BadCall]:
    """Call all methods and write all properties of an interface, with right types and with wrong ones."""
    name = interface.attrib["name"]
    if name == "org.freedesktop.DBus.Peer":
        return  # it is the library's, as are its errors
    for method in interface.findall("method"):
        member = method.attrib["name"]
        takes = (a.attrib["type"] for a in method.findall("arg") if a.attrib["direction"] == "in")
        signature = "".join(takes)
        for _ in range(40 if name == NAME else 2):
            yield path, name, member, signature, fuzz.values(signature)
        yield path, name, member, *fuzz.wrong()
        yield path, None, member, *fuzz.wrong()
    for prop in interface.findall("property"):
        member, signature = prop.attrib["name"], prop.attrib["type"]
        for value in (fuzz.variant(signature), fuzz.variant(signature), fuzz.variant()):
            yield path, PROPERTIES, "Set", "ssv", [name, member, value]
        yield path, PROPERTIES, "Get", "ss", [name, member]


def test_calls_that_want_no_answer_get_none_and_do_their_work(playing: Service) -> None:
    recorder = Recorder(playing)

    async def shout(fuzz: Fuzz) -> None:
        await fuzz.shout(ROOT, NAME, "SetVolume", "sda{sv}", ["@sink", 0.4, {}])
        await fuzz.shout(ROOT, NAME, "SetVolume", "sda{sv}", ["@sink", math.nan, {}])
        await fuzz.shout(ROOT, NAME, "Explode", "", [])
        await fuzz.shout(ROOT, NAME, "Describe", "s", ["x"])
        await fuzz.shout("/nowhere", PROPERTIES, "GetAll", "s", ["x"])
        await fuzz.send(ROOT, NAME, "Resolve", "s", ["@sink"])

    on_the_bus(playing, shout)
    wait_until_equal(playing)
    assert " 40%" in playing.session.pactl("get-sink-volume", "speakers")
    messages = recorder.messages()
    (shouter,) = {m["sender"] for m in messages if m.get("member") == "Explode"}
    (reply,) = [m for m in messages if m.get("destination") == shouter]
    assert reply["payload"]["data"] == [[SPEAKERS]]


def test_a_call_needs_no_interface(playing: Service) -> None:
    async def ask(fuzz: Fuzz) -> list[Message]:
        return [
            await fuzz.send(ROOT, None, "SetVolume", "sda{sv}", ["@sink", 0.4, {}]),
            await fuzz.send(SPEAKERS, None, "GetAll", "s", [NODE]),
            await fuzz.send(ROOT, None, "GetManagedObjects", "", []),
            await fuzz.send(SPEAKERS, None, "GetProperties", "", []),
        ]

    volume, of_node, objects, properties = (reply.body[0] for reply in on_the_bus(playing, ask))
    assert volume == 0.4
    assert of_node["Name"].value == "speakers"
    assert SPEAKERS in objects
    assert properties["node.name"] == "speakers"


def test_a_huge_message_is_refused_and_costs_nothing(playing: Service) -> None:
    huge = "x" * 5_000_000

    async def send(fuzz: Fuzz) -> list[str]:
        replies = [
            await fuzz.send(ROOT, NAME, "SetVolume", "sda{sv}", [huge, 0.5, {}]),
            await fuzz.send(ROOT, NAME, "SetMuted", "ssa{sv}", ["@sink", huge, {}]),
            await fuzz.send(ROOT, NAME, "SetMuted", "ssa{sv}", ["@sink", "on", {huge: Variant("s", "x")}]),
            await fuzz.send(ROOT, NAME, huge[:200], "s", [huge]),
            await fuzz.send(SPEAKERS, PROPERTIES, "Set", "ssv", [NODE, "Volume", Variant("s", huge)]),
            await fuzz.send(SPEAKERS, PROPERTIES, "Get", "ss", [huge, huge]),
        ]
        assert {reply.message_type for reply in replies} == {MessageType.ERROR}
        assert max(len(reply.body[0]) for reply in replies) < 3000
        return [text for reply in replies if (text := complaint(reply, reply.body[0][:80]))]

    assert on_the_bus(playing, send) == []
    context = "c" * 60_000
    recorder = Recorder(playing)
    playing.call("SetVolume", "sda{sv}", "@sink", 0.5, 1, "context", "s", context)
    (change,) = recorder.signals("ClientChange")
    assert change["payload"]["data"][4] == context[:128]


HOSTILE_TEXTS = (
    "a\x01b\x1b[31mc\x7fd\x85e",
    "name\nSink Input #99\n\tMute: yes",
    "x" * 10_000,
    "\u202eevil\u2066\u202c",
    'x"\x1fapplication.name = "Firefox',
    'x\\"\x1fpwmixer.app = "firefox',
    "😀" * 400,
    " \t ",
    "../../../..",
    "%s%s%n",
    "<b>&amp;</b>",
    "/org/pwmixer/Mixer",
)
HOSTILE_BYTES = (
    b"a\xed\xa0\x80b\xff\xc3(",
    b"\xff\xfe\xfd",
    "\uffff\ufdd0\U0010ffff".encode(),
    b"\x01\x1b]0;title\x07\x9b\r\n\tMute: yes",
    b'x"\x1fapplication.name = "Firefox',
)


def test_programs_with_hostile_names_are_listed_controlled_and_harm_nobody(playing: Service) -> None:
    session = playing.session
    properties = ("application.name", "media.name", "node.name", "application.icon_name", "media.role")
    for text in HOSTILE_TEXTS:
        session.play("Hostile", properties=dict.fromkeys(properties, text))
    for number, raw in enumerate(HOSTILE_BYTES):
        start_program_named(session, raw, number)
    expected = 1 + len(HOSTILE_TEXTS) + len(HOSTILE_BYTES)
    session.wait_for(lambda: len(playing.describe()["streams"]) == expected, "all streams")
    wait_until_equal(playing)
    described = playing.describe()
    for thing in (*described["streams"], *described["apps"]):
        for value in (v for v in thing.values() if isinstance(v, str)):
            assert len(value) <= 600
            assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or ord(c) in {0xFFFF, 0x202E} for c in value)
    names = [stream["app_name"] for stream in described["streams"]]
    assert "Firefox" not in names
    assert "bin:firefox" not in [app["app_id"] for app in described["apps"]]
    managed = playing.managed_objects()
    introspected = session.run(
        "gdbus", "introspect", "--session", f"--dest={NAME}", "--object-path=/", "--recurse"
    )
    assert [path for path in managed if f"node {path} {{" not in introspected] == []
    for path in (p for p in managed if "/streams/" in p):
        playing.call("ExplainStream", "s", path)
        playing.busctl("call", NAME, path, NODE, "GetProperties")
    for app in described["apps"]:
        assert playing.call("Resolve", "s", f"{ROOT}/apps/" + escaped(app["app_id"])) != []
    assert playing.call("SetVolume", "sda{sv}", "stream:*", 0.3, 0) == 0.3
    wait_until_equal(playing)
    assert {stream["volume"] for stream in playing.describe()["streams"]} == {0.3}


def escaped(name: str) -> str:
    """Write a name as one element of a path, as the documentation has it."""
    return "".join(chr(b) if chr(b).isascii() and chr(b).isalnum() else f"_{b:02x}" for b in name.encode())


def start_program_named(session: Session, raw: bytes, number: int) -> None:
    """Play silence with a program and a file of that name, from which PipeWire takes names as they are."""
    folder = session.runtime / f"hostile-{number}"
    folder.mkdir()
    silence = io.BytesIO()
    with wave.open(silence, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(2 * 8_000 * 60))
    sound, program = folder / (os.fsdecode(raw) + ".wav"), folder / os.fsdecode(raw)
    sound.write_bytes(silence.getvalue())
    found = shutil.which("pw-cat")
    assert found, "scripts/setup --test installs it"
    shutil.copy(found, program)
    session.spawn(f"hostile-{number}", str(program), "--playback", str(sound))


def test_devices_with_hostile_names_are_listed_controlled_and_harm_nobody(playing: Service) -> None:
    session = playing.session
    for name, description in (
        ("näme-ß-🎧", "Kopfhörer 🎧"),
        ("x" * 200, "y" * 2000),
        ("with/slash:colon*star", "<b>bold</b> & 'quoted'"),
        ("_", "\u202ereversed"),
    ):
        session.add_null_sink(name, description)
    wait_until_equal(playing)
    assert len(playing.describe()["sinks"]) == 6
    for sink in playing.describe()["sinks"]:
        path = f"{ROOT}/sinks/{escaped(sink['name'])}"
        assert playing.get("Name", path=path, interface="Node") == sink["name"]
        playing.call("SetDefault", "s", path)
        assert playing.get("DefaultSink") == path
        assert playing.get("Name", path=f"{ALIAS}/sink", interface="Node") == sink["name"]
    wait_until_equal(playing)


def test_clients_that_vanish_in_the_middle_of_a_call_are_no_trouble(playing: Service) -> None:
    for round_ in range(30):
        with signed_in(playing.session) as connection:
            connection.sendall(farewell(round_))
            if round_ % 3 == 0:
                connection.recv(1)
    assert playing.call("SetVolume", "sda{sv}", "@sink", 0.6, 0) == 0.6
    wait_until_equal(playing)
    assert differences(playing) == []


def farewell(round_: int) -> bytes:
    """Make the last words of a client: some calls, of which the last may be cut short."""
    words = spoken(
        called("SetVolume", "sda{sv}", "@sink", round_ / 100, {}),
        called("SetMuted", "ssa{sv}", "app:radio", "toggle", {}),
        called("Describe", "a{sv}", {}),
        called("SetMuted", "ssa{sv}", "app:radio", "off", {}),
    )
    return words[: len(words) - round_ % 2 * 10]
