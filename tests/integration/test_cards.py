"""Cards, profiles, ports and jacks, on a card that WirePlumber takes for a real one."""

from collections.abc import Callable

import pytest
from compare import wait_until_equal
from fakecard import (
    ANALOG,
    CARD,
    DUPLEX,
    HDMI,
    HDMI_ONLY,
    HDMI_SINK,
    HEADPHONES,
    MICROPHONE,
    OFF,
    SINK,
    SOURCE,
    SPEAKERS,
    FakeCard,
)
from recorder import Recorder, changed
from service import NAME, ROOT, CallError, Json, Service

CARD_PATH = f"{ROOT}/cards/alsa_5fcard_2efake"
SINK_PATH = f"{ROOT}/sinks/alsa_5foutput_2efake_2eanalog_2dstereo"
SOURCE_PATH = f"{ROOT}/sources/alsa_5finput_2efake_2eanalog_2dstereo"

Change = Callable[[Service, str], object]

PROFILE_CHANGES: dict[str, Change] = {
    "pactl": lambda service, profile: service.session.pactl("set-card-profile", CARD, profile),
    "method": lambda service, profile: service.call("SetProfile", "ss", f"card:{CARD}", profile),
    "property": lambda service, profile: service.set(
        "ActiveProfile", "s", profile, path=CARD_PATH, interface="Card"
    ),
}
PORT_CHANGES: dict[str, Change] = {
    "pactl": lambda service, port: service.session.pactl("set-sink-port", SINK, port),
    "method": lambda service, port: service.call("SetPort", "ss", f"sink:{SINK}", port),
    "property": lambda service, port: service.set(
        "ActivePort", "s", port, path=SINK_PATH, interface="Device"
    ),
}


def names(service: Service, kind: str) -> set[str]:
    """Name the card's own sinks or sources."""
    return {d["name"] for d in service.describe()[kind] if d["card"] == CARD and not d["monitor"]}


def device(service: Service, name: str) -> Json:
    """Return a sink or source; an empty one where there is none."""
    state = service.describe()
    return next((d for d in (*state["sinks"], *state["sources"]) if d["name"] == name), {})


def wait_for_device(service: Service, name: str, **wanted: object) -> None:
    """Wait until a sink or source looks as wanted."""
    service.session.wait_for(
        lambda: wanted.items() <= device(service, name).items(), f"{name} to be {wanted}"
    )


def wait_until_it_holds(service: Service, ask: Callable[[], object], volume: float) -> None:
    """Ask for a volume of the sink until it stays: WirePlumber may bring a port's own once more when that is shown already."""

    def holds() -> bool:
        ask()
        return all(device(service, SINK).get("volume") == volume for _ in range(5))

    service.session.wait_for(holds, f"{SINK} to stay at {volume}")


def ports(options: Json) -> dict[str, str]:
    """Return the availability of each port or profile, by its name."""
    return {o["name"]: o["available"] for o in options}


def wait_for_jack(service: Service, port: str, available: str, *, of: str) -> None:
    """Wait until a port is said to be so: by the card, and by its sink or source."""

    def is_so() -> bool:
        cards = service.describe()["cards"]
        holders = (*cards, device(service, of))
        return bool(cards) and all(ports(h.get("ports", [])).get(port) == available for h in holders)

    service.session.wait_for(is_so, f"{port} to be {available}")


@pytest.mark.usefixtures("card")
def test_a_card_appears_with_all_it_has(service: Service) -> None:
    wait_for_device(service, SINK, active_port=SPEAKERS, card=CARD)
    wait_for_device(service, SOURCE, active_port=MICROPHONE)
    (card,) = service.describe()["cards"]
    assert (card["name"], card["description"], card["icon_name"]) == (CARD, "Fake Audio", "audio-card-analog")
    assert card["active_profile"] == DUPLEX
    assert ports(card["profiles"]) == {OFF: "yes", DUPLEX: "yes", ANALOG: "yes", HDMI_ONLY: "no"}
    assert ports(card["ports"]) == {SPEAKERS: "unknown", HEADPHONES: "no", MICROPHONE: "yes", HDMI: "no"}
    sink = device(service, SINK)
    assert ports(sink["ports"]) == {SPEAKERS: "unknown", HEADPHONES: "no"}
    assert [p["description"] for p in sink["ports"]] == ["Speakers", "Headphones"]
    assert (sink["virtual"], sink["bus"], sink["volume"]) == (False, "pci", 0.4)
    wait_until_equal(service)


@pytest.mark.usefixtures("card")
def test_a_card_shows_itself_to_busctl(service: Service) -> None:
    wait_for_device(service, SINK, active_port=SPEAKERS)
    shown = service.session.run("busctl", "--user", "introspect", NAME, CARD_PATH, f"{NAME}.Card")
    members = {line.split()[0].lstrip("."): line.split()[1:] for line in shown.splitlines()[1:]}
    kinds = {name: (words[0], words[1]) for name, words in members.items()}
    assert kinds == {
        "GetProperties": ("method", "-"),
        "ActiveProfile": ("property", "s"),
        "Description": ("property", "s"),
        "IconName": ("property", "s"),
        "Index": ("property", "u"),
        "Name": ("property", "s"),
        "Ports": ("property", "a(sss)"),
        "Profiles": ("property", "a(sss)"),
    }
    assert "writable" in members["ActiveProfile"]
    assert [HEADPHONES, "Headphones", "no"] in service.get("Ports", path=CARD_PATH, interface="Card")
    assert [ANALOG, "Analog Stereo Output", "yes"] in service.get(
        "Profiles", path=CARD_PATH, interface="Card"
    )
    properties = service.busctl("call", NAME, CARD_PATH, f"{NAME}.Card", "GetProperties")
    assert properties["alsa.card_name"] == "Fake Audio"
    assert service.get("Card", path=SINK_PATH, interface="Device") == CARD_PATH


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("change", PROFILE_CHANGES.values(), ids=PROFILE_CHANGES)
def test_a_profile_changes_and_sinks_and_sources_come_and_go(service: Service, change: Change) -> None:
    for profile, sinks, sources in (
        (ANALOG, {SINK}, set()),
        (OFF, set(), set()),
        (HDMI_ONLY, {HDMI_SINK}, set()),
        (DUPLEX, {SINK}, {SOURCE}),
    ):
        change(service, profile)
        service.session.wait_for(
            lambda p=profile: service.get("ActiveProfile", path=CARD_PATH, interface="Card") == p,  # type: ignore[misc]
            f"profile {profile}",
        )
        service.session.wait_for(
            lambda s=sinks: names(service, "sinks") == s,  # type: ignore[misc]
            f"the sinks of {profile}",
        )
        service.session.wait_for(
            lambda s=sources: names(service, "sources") == s,  # type: ignore[misc]
            f"the sources of {profile}",
        )
        wait_until_equal(service)


def test_the_card_itself_changes_its_profile(service: Service, card: FakeCard) -> None:
    card.change_profile(ANALOG)
    service.session.wait_for(lambda: not names(service, "sources"), "the microphone to go")
    card.set_jack(HDMI, "yes")
    wait_for_device(service, HDMI_SINK, active_port=HDMI)
    wait_for_jack(service, HDMI, "yes", of=HDMI_SINK)
    assert ports(service.describe()["cards"][0]["profiles"])[HDMI_ONLY] == "yes"


@pytest.mark.parametrize(
    ("way", "playing"), [("pactl", False), ("pactl", True), ("method", False), ("property", True)]
)
def test_a_port_changes_and_brings_its_own_volume(
    service: Service, card: FakeCard, way: str, playing: bool
) -> None:
    if playing:
        service.session.play("Radio", sink=SINK)
        service.wait_for_stream("Radio", device=SINK)
    wait_until_it_holds(service, lambda: service.session.pactl("set-sink-volume", SINK, "60%"), 0.6)
    card.set_jack(HEADPHONES, "yes")
    wait_for_device(service, SINK, active_port=HEADPHONES, volume=0.4)
    wait_until_it_holds(service, lambda: service.call("SetVolume", "sda{sv}", f"sink:{SINK}", 0.3, 0), 0.3)
    for port, volume in ((SPEAKERS, 0.6), (HEADPHONES, 0.3)):
        PORT_CHANGES[way](service, port)
        wait_for_device(service, SINK, active_port=port, volume=volume)
        assert f"Active Port: {port}" in service.session.pactl("list", "sinks")
        wait_until_equal(service)


def test_a_jack_is_plugged_and_pulled(service: Service, card: FakeCard) -> None:
    card.set_jack(HEADPHONES, "yes")
    wait_for_jack(service, HEADPHONES, "yes", of=SINK)
    wait_for_device(service, SINK, active_port=HEADPHONES)
    card.set_jack(HEADPHONES, "no")
    wait_for_jack(service, HEADPHONES, "no", of=SINK)
    wait_for_device(service, SINK, active_port=SPEAKERS)


def test_a_jack_that_moves_nothing_is_seen_at_the_source_as_well(service: Service, card: FakeCard) -> None:
    """The server says only that the card has changed; there is one port, so nothing else does."""
    wait_for_jack(service, MICROPHONE, "yes", of=SOURCE)
    for available in ("unknown", "no", "yes"):
        card.set_jack(MICROPHONE, available)
        wait_for_jack(service, MICROPHONE, available, of=SOURCE)


def test_a_card_is_unplugged_and_comes_back(service: Service, card: FakeCard) -> None:
    wait_for_device(service, SINK, active_port=SPEAKERS)
    service.session.play("Radio", sink=SINK)
    service.wait_for_stream("Radio", device=SINK)
    index = service.get("Index", path=CARD_PATH, interface="Card")
    card.unplug()
    service.session.wait_for(lambda: service.describe()["cards"] == [], "the card to go")
    service.session.wait_for(lambda: not device(service, SINK), "its sink to go")
    service.wait_for_stream("Radio", device="speakers")
    with pytest.raises(CallError):
        service.get("Ports", path=CARD_PATH, interface="Card")
    card.plug()
    service.session.wait_for(lambda: len(service.describe()["cards"]) == 1, "the card to come back")
    wait_for_device(service, SINK, active_port=SPEAKERS, card=CARD)
    assert service.get("Index", path=CARD_PATH, interface="Card") != index
    wait_until_equal(service)


@pytest.mark.usefixtures("card")
def test_a_wrong_name_is_told_what_there_is(service: Service) -> None:
    wait_for_device(service, SINK, active_port=SPEAKERS)
    no_profile = f"card:{CARD} has no profile “pro”; there is: {OFF}, {DUPLEX}, {ANALOG}."
    no_port = f"sink:{SINK} has no port “pro”; there is: {SPEAKERS}."
    for changes, error in ((PROFILE_CHANGES, no_profile), (PORT_CHANGES, no_port)):
        for way in ("method", "property"):
            with pytest.raises(CallError) as caught:
                changes[way](service, "pro")
            assert error in str(caught.value)
    with pytest.raises(CallError, match=f"card:{CARD} has no ports to choose from"):
        service.call("SetPort", "ss", f"card:{CARD}", SPEAKERS)
    with pytest.raises(CallError, match="sink:speakers has no profiles"):
        service.call("SetProfile", "ss", "sink:speakers", OFF)
    with pytest.raises(CallError, match=f"card:{CARD} has no volume."):
        service.call("SetVolume", "sda{sv}", f"card:{CARD}", 0.5, 0)
    with pytest.raises(CallError, match="sink:speakers has no port “x”; it has none to choose from"):
        service.call("SetPort", "ss", "sink:speakers", "x")


@pytest.mark.usefixtures("card")
def test_a_card_is_found_by_every_word_for_it(service: Service) -> None:
    for selector in (f"card:{CARD}", "card:fake audio", "card:*fake*", "card:ALSA_CARD.FAKE", CARD_PATH):
        assert service.call("Resolve", "s", selector) == [CARD_PATH]
    service.call("SetProfile", "ss", "card:Fake Audio", "Analog Stereo Output")
    assert service.get("ActiveProfile", path=CARD_PATH, interface="Card") == ANALOG
    with pytest.raises(CallError, match=f"There is card:{CARD}."):
        service.call("Resolve", "s", "card:usb")


@pytest.mark.usefixtures("card")
def test_a_profile_set_by_a_client_is_announced_before_the_reply(service: Service) -> None:
    wait_for_device(service, SOURCE, active_port=MICROPHONE)
    recorder = Recorder(service)
    service.call("SetProfile", "ss", f"card:{CARD}", ANALOG)
    members = [
        (m["type"], m.get("member"))
        for m in recorder.messages()
        if m.get("path") == CARD_PATH or "reply" in m["type"]
    ]
    assert members[0] == ("signal", "PropertiesChanged")
    assert recorder.changes(CARD_PATH)[0]["ActiveProfile"] == ANALOG
    (told,) = recorder.signals("ClientChange")
    assert told["payload"]["data"][:2] == [CARD_PATH, "ActiveProfile"]
    service.session.wait_for(
        lambda: SOURCE_PATH in [m["payload"]["data"][0] for m in recorder.signals("InterfacesRemoved")],
        "the source's end to be told",
    )


def test_a_jack_is_announced_by_card_and_sink(service: Service, card: FakeCard) -> None:
    wait_for_device(service, SINK, active_port=SPEAKERS)
    recorder = Recorder(service)
    card.set_jack(HEADPHONES, "yes")

    def told(path: str, name: str) -> list[Json]:
        return [
            changed(m)[name]
            for m in recorder.signals("PropertiesChanged")
            if m["path"] == path and name in changed(m)
        ]

    plugged = [HEADPHONES, "Headphones", "yes"]
    for path in (CARD_PATH, SINK_PATH):
        service.session.wait_for(
            lambda p=path: any(plugged in value for value in told(p, "Ports")),  # type: ignore[misc]
            f"{path} to announce its ports",
        )
    service.session.wait_for(
        lambda: told(SINK_PATH, "ActivePort") == [HEADPHONES], "the port to be announced"
    )


def test_a_card_is_announced_when_it_comes_and_goes(service: Service, card: FakeCard) -> None:
    wait_for_device(service, SINK, active_port=SPEAKERS)
    recorder = Recorder(service)
    card.unplug()
    card.plug()

    def told(member: str) -> set[str]:
        return {m["payload"]["data"][0] for m in recorder.signals(member)}

    for member in ("InterfacesRemoved", "InterfacesAdded"):
        service.session.wait_for(
            lambda m=member: {CARD_PATH, SINK_PATH, SOURCE_PATH} <= told(m),  # type: ignore[misc]
            f"{member} of the card and its devices",
        )
