"""What a bar shows of a document: pure, for every state that a desktop can be in, and with names of strangers."""

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from documents import DOCUMENT, Record, app, device, stream

from pwmixer_dbus.cli import UsageError
from pwmixer_dbus.cli.bars.lines import FIELDS, FORMAT, MAKERS, fields_of, waybar
from pwmixer_dbus.cli.bars.status import (
    ABSENT,
    NO_DEVICE,
    NO_SERVER,
    NO_SERVICE,
    OK,
    Status,
    absent,
    status_of,
)
from pwmixer_dbus.cli.commands import COMMANDS
from pwmixer_dbus.cli.show import of_selector

HOSTILE = "<b>&amp;\"'</b>%{A1:reboot:}{0}\n\u202e\x1b[2J"


def of(*records: Mapping[str, Any], **changes: Any) -> Status:
    return status_of({**DOCUMENT, **changes}, records)


def told(status: Status, template: str = FORMAT) -> dict[str, Any]:
    """Return what waybar is told."""
    line: dict[str, Any] = json.loads(waybar(status, template))
    return line


def test_a_device_is_its_volume_what_plays_and_what_it_is() -> None:
    line = told(of(*of_selector(DOCUMENT, "@sink")))
    assert line == {
        "text": "45%",
        "tooltip": "Speakers: 45%\nFirefox: 45%",
        "class": ["speakers", "playing"],
        "percentage": 45,
        "alt": "speakers",
    }


def test_muted_and_over_full_are_classes_and_muted_is_the_word() -> None:
    loud = device("sink", "dac", volume=1.2)
    assert told(of(loud, streams=[]))["class"] == ["output", "over"]
    muted = told(of({**loud, "muted": True}, streams=[]))
    assert (muted["text"], muted["percentage"], muted["alt"]) == ("muted", 120, "muted")
    assert muted["class"] == ["output", "muted", "over"]


@pytest.mark.parametrize(
    ("about", "form"),
    [
        ({"active_port": "analog-output-headphones", "form_factor": "internal"}, "headphones"),
        ({"active_port": "analog-output-speaker", "form_factor": "headset"}, "speakers"),
        ({"form_factor": "headset", "bus": "bluetooth"}, "headset"),
        ({"form_factor": "hands-free", "bus": "bluetooth"}, "headset"),
        ({"active_port": "headset-output", "form_factor": "headset", "bus": "bluetooth"}, "headset"),
        ({"active_port": "hdmi-output-0"}, "hdmi"),
        ({"kind": "source", "form_factor": "microphone"}, "microphone"),
        ({"kind": "source"}, "input"),
        ({}, "output"),
    ],
)
def test_the_form_is_that_of_the_port_in_use_else_of_the_device(about: Record, form: str) -> None:
    status = of({**device("sink", "x", description="WH-1000XM4"), **about})
    assert (status.form, status.name) == (form, "WH-1000XM4")
    assert ("bluetooth" in told(status)["class"]) == (about.get("bus") == "bluetooth")


def test_the_port_in_use_stands_beside_the_name() -> None:
    (record,) = of_selector(DOCUMENT, "sink:speakers")
    record = {**record, "description": "Built-in Audio"}
    assert told(of(record))["tooltip"].startswith("Built-in Audio (Speakers): 45%")
    assert told(of(record), "{name}, {port}")["text"] == "Built-in Audio, Speakers"


def test_an_input_tells_who_records() -> None:
    recorder = stream(9, kind="capture", direction="capture", app_name="Meet")
    apps = [*DOCUMENT["apps"], app("name:meet", "Meet", streams=[9], active=True, volume=0.8)]
    line = told(of(*of_selector(DOCUMENT, "@source"), streams=[recorder], apps=apps))
    assert line["tooltip"] == "Microphone: 100%\nMeet: 80%"
    assert line["class"] == ["input", "recording"]


def test_what_is_paused_is_told_so_and_what_is_hidden_or_silent_is_not_told() -> None:
    apps = [
        app("a", "Paused", streams=[5], muted=True),
        app("b", "Hidden", streams=[6], hidden=True),
        app("c", "Silent"),
    ]
    line = told(of(*of_selector(DOCUMENT, "@sink"), apps=apps))
    assert line["tooltip"] == "Speakers: 45%\nPaused: muted, paused"
    assert line["class"] == ["speakers"]


def test_several_are_as_loud_as_the_loudest_and_muted_when_all_are() -> None:
    status = of(stream(1, volume=0.2, muted=True), stream(2, volume=0.7, app_name="Discord"))
    assert (status.volume, status.muted, status.name, status.form) == (0.7, False, "Firefox, Discord", "app")
    assert of(stream(1, volume=0.2, muted=True)).muted


def test_an_application_that_is_not_playing_has_its_remembered_volume_or_none() -> None:
    assert told(of(app("x", "X", volume=0.3)))["text"] == "30%"
    assert told(of(app("x", "X", volume=None)))["text"] == "0%"


@pytest.mark.parametrize(
    ("state", "selector", "seen", "text"),
    [
        (NO_SERVICE, "@sink", NO_SERVICE, "no pwmixer"),
        (NO_SERVER, "@sink", NO_SERVER, "no sound"),
        (ABSENT, "@sink", NO_DEVICE, "no device"),
        (ABSENT, "sink:usb*", NO_DEVICE, "no device"),
        (ABSENT, "app:spotify", ABSENT, ""),
        (ABSENT, "stream:5", ABSENT, ""),
    ],
)
def test_what_is_not_there_is_told_and_an_application_hides_its_module(
    state: str, selector: str, seen: str, text: str
) -> None:
    line = told(absent(state, selector), "{percent}")
    assert (line["text"], line["class"], line["alt"], line["percentage"]) == (text, [seen], seen, 0)
    assert line["tooltip"].endswith(".")


def test_i3status_rust_is_warned_of_mute_and_of_what_is_missing_all_the_more() -> None:
    sink = device("sink", "dac")
    missing = [absent(state, "@sink") for state in (NO_SERVICE, NO_SERVER, ABSENT)]
    shown = [of(sink), of({**sink, "muted": True}), absent(ABSENT, "app:spotify"), *missing]
    states = [json.loads(MAKERS["i3status-rust"](status, FORMAT))["state"] for status in shown]
    assert states == ["Idle", "Warning", "Idle", "Critical", "Critical", "Critical"]


@pytest.mark.parametrize("name", MAKERS)
def test_every_state_is_one_line_for_every_bar(name: str) -> None:
    states = [absent(state, f"app:{HOSTILE}") for state in (NO_SERVICE, NO_SERVER, ABSENT)]
    for status in (*states, Status(OK), of(device("sink", "x", description=HOSTILE))):
        line = MAKERS[name](status, r"a {name} {level}")
        assert "\n" not in line
        assert line.isprintable()


@pytest.mark.parametrize("name", ["waybar", "i3blocks", "i3status-rust"])
def test_names_of_strangers_are_no_markup_and_a_template_is(name: str) -> None:
    status = of(device("sink", "x", description=HOSTILE), apps=[app("x", HOSTILE, streams=[5], active=True)])
    line = json.loads(MAKERS[name](status, "<b>{name}</b>"))
    for text in (line.get("full_text", line.get("text")), line.get("tooltip", "")):
        assert "reboot" in "".join(ET.fromstring(f"<p>{text}</p>").itertext()) or not text  # noqa: S314
    assert ET.fromstring(f"<p>{line.get('full_text', line.get('text'))}</p>").find("b") is not None  # noqa: S314


def test_no_name_is_a_tag_of_polybar_and_plain_text_is_left_alone() -> None:
    status = of(device("sink", "x", description="%{A1:reboot:}50% %{%{"))
    assert "%{" not in MAKERS["polybar"](status, "{name}")
    assert MAKERS["polybar"](status, "%{{F#f00}}{percent}%") == "%{F#f00}100%"
    assert MAKERS["follow"](status, "{name}") == "%{A1:reboot:}50% %{%{"


def test_long_names_are_cut() -> None:
    apps = [app("x", "A" * 512, streams=[5], active=True)]
    line = told(of(device("sink", "x", description="日" * 512), apps=apps), "{name}")
    assert line["text"] == "日" * 59 + "…"
    assert line["tooltip"] == "日" * 59 + "…: 100%\n" + "A" * 59 + "…: 100%"


def test_names_that_run_to_the_left_leave_the_tooltip_in_order() -> None:
    apps = [
        app("x", "\u05e9\u05dc\u05d5\u05dd", streams=[5], active=True),
        app("y", "日", streams=[6], active=True),
    ]
    line = told(of(device("sink", "x", description="\u0635\u0648\u062a"), apps=apps), "{name} {level}")
    assert line["tooltip"] == (
        "\u200e\u0635\u0648\u062a\u200e: 100%\n\u200e\u05e9\u05dc\u05d5\u05dd\u200e: 100%\n日: 100%"
    )
    assert line["text"] == "\u0635\u0648\u062a 100%"


def test_many_applications_are_counted() -> None:
    apps = [app(str(i), f"App {i}", streams=[5], active=True) for i in range(15)]
    tooltip = told(of(*of_selector(DOCUMENT, "@sink"), apps=apps))["tooltip"]
    assert tooltip.endswith("App 11: 100%\nand 3 more")


def test_the_documented_fields_are_those_that_there_are() -> None:
    status = of(*of_selector(DOCUMENT, "@sink"))
    assert [name for name, _ in FIELDS] == list(fields_of(status, str))
    everything = " ".join(f"{{{name}}}" for name, _ in FIELDS)
    assert told(status, everything)["text"] == "45% 45 0.45  no 🔉 Speakers Speakers speakers 1"
    assert set(MAKERS) == {name for name, command in COMMANDS.items() if command.module == "bars.follow"}


@pytest.mark.parametrize(
    "template",
    [
        "{nothing}",
        "{",
        "{}",
        "{0}",
        "{name.__class__}",
        "{name[0]}",
        "{percent:>{volume}}",
        "{percent:>9999}",
    ],
)
def test_a_template_reaches_no_further_than_its_fields(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        waybar(Status(OK), template)
    assert "\n" not in str(caught.value)


def test_widths_and_doubled_braces_are_as_in_python() -> None:
    assert told(of(*of_selector(DOCUMENT, "@sink")), "{{{percent:>4}}}|{mute:<5}|")["text"] == "{  45}|     |"


def test_a_group_is_shown_under_its_own_name() -> None:
    shown = of(*of_selector(DOCUMENT, "group:Music"))
    assert (shown.name, shown.volume, shown.muted) == ("Music", 0.45, False)
