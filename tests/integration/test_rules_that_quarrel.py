"""Rules that contradict one another, themselves or the session manager, on a real server: the service never loops."""

from collections.abc import Callable

from recorder import Recorder
from service import Service

TO_AND_FRO = """
[[rules]]
name = "there"
match = { app = "radio", device = "speakers" }
to = "headset"

[[rules]]
name = "back"
match = { app = "radio", device = "headset" }
to = "speakers"
"""

CIRCLE = """
[[rules]]
name = "chat"
match.group = "Games"
group = "Chat"
continue = true

[[rules]]
name = "games"
match.group = "Chat"
group = "Games"
continue = true
"""

Started = Callable[[str], Service]


def moves(service: Service) -> int:
    return service.log().count("wants it on")


def settle(service: Service, target: str) -> None:
    service.session.wait_for(lambda: not service.explain(target)["settling"], "it to settle")


def test_two_rules_throw_my_radio_to_and_fro(with_rules: Started) -> None:
    service = with_rules(TO_AND_FRO)
    recorder = Recorder(service)
    service.session.play("Radio")
    service.wait_for_stream("Radio", device="headset", routed_by="rule there")
    settle(service, "app:radio")
    # WirePlumber may take a newborn stream away once and bring it back by itself.
    assert moves(service) == len(recorder.signals("RuleApplied")) <= 2
    why = service.explain("app:radio")
    assert (why["actual_device"], why["desired_by"]) == ("headset", "rule there")
    assert why["reason"] == (
        "The rule there found it on speakers and brought it here; that is no reason to move it on."
    )


def test_rules_that_wait_for_one_another_are_refused_by_name_and_the_rest_goes_on(
    with_rules: Started,
) -> None:
    service = with_rules('[[rules]]\nname = "music"\nmatch.app = "radio"\nto = "headset"\n')
    good = service.session.config.read_text()
    service.session.configure(good + CIRCLE)
    service.session.wait_for(lambda: service.get("ConfigError"), "the problem to be told")
    told = service.get("ConfigError").splitlines()
    assert [line.partition("rules[")[2][:8] for line in told] == ["1].group", "2].group"]
    assert all("means nothing beside match.group" in line for line in told)
    service.session.play("Radio")
    service.wait_for_stream("Radio", device="headset", routed_by="rule music")
    service.session.configure(good)
    service.session.wait_for(lambda: not service.get("ConfigError"), "it to be mended")
    service.stop(errors=True)


def test_a_loopback_howls_when_a_rule_leads_it_back_into_itself(with_rules: Started) -> None:
    service = with_rules("""
[[rules]]
name = "echo"
match = { properties."node.link-group" = "*" , direction = "capture" }
to = "speakers.monitor"
force = true
""")
    session = service.session
    session.pactl("load-module", "module-loopback", "source=microphone", "sink=speakers")
    session.wait_for(
        lambda: {s["device"] for s in service.describe()["streams"]} == {"microphone", "speakers"},
        "the loopback to be linked",
    )
    target = next(
        f"stream:{s['number']}" for s in service.describe()["streams"] if s["direction"] == "capture"
    )
    settle(service, target)
    why = service.explain(target)
    assert (why["actual_device"], why["desired_device"]) == ("microphone", None)
    assert why["reason"] == "The rule “echo” names speakers.monitor, where it would hear itself."
    assert moves(service) == 0


def test_what_plays_on_the_speakers_can_be_recorded_by_a_rule_that_names_their_monitor(
    with_rules: Started,
) -> None:
    service = with_rules("""
[[rules]]
name = "studio"
match.app = "studio"
to = ["speakers.monitor"]
""")
    service.session.record("Studio")
    service.wait_for_stream("Studio", device="speakers.monitor", routed_by="rule studio")
    service.session.play("Player", properties={"application.name": "Studio"})
    service.session.wait_for(lambda: len(service.describe()["streams"]) == 2, "the player")
    player = next(s for s in service.describe()["streams"] if s["direction"] == "playback")
    assert player["device"] == "speakers"
    why = service.explain(f"stream:{player['number']}")
    assert why["reason"] == "The rule “studio” names no sink that is there."
