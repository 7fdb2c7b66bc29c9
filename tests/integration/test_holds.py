"""A program holds streams where they are, for as long as it wants or lives; another toolkit than ours does it."""

import json

import pytest
from client import Client
from service import CallError, Service

RULE = (
    "AddRule",
    "a{sv}i",
    3,
    "name",
    "s",
    "Radios",
    "match",
    "a{sas}",
    1,
    "app",
    1,
    "radio",
    "to",
    "as",
    1,
    "headset",
    -1,
)


def add_rule(service: Service) -> None:
    words = [str(word) for word in RULE[1:]]
    interface = "org.pwmixer.Mixer.Rules"
    service.busctl("call", "org.pwmixer.Mixer", "/org/pwmixer/Mixer", interface, str(RULE[0]), "--", *words)


def test_what_is_held_stays_until_it_is_released_or_its_holder_leaves(service: Service) -> None:
    session = service.session
    player = session.play("Radio")
    stream = service.wait_for_stream("Radio", device="speakers")
    with Client.gjs(session, "holder.js") as holder:
        (cookie,) = holder.ask(method="HoldRouting", values=["app:radio", "a test", "org.example.Test"])[
            "values"
        ]
        (hold,) = service.get("Holds")
        assert (hold["cookie"], hold["target"], hold["reason"]) == (cookie, "app:radio", "a test")
        add_rule(service)
        explained = json.loads(service.call("ExplainStream", "s", stream["selector"]))
        assert (explained["desired_device"], explained["actual_device"]) == ("headset", "speakers")
        assert "A program holds it where it is" in explained["reason"]
        with pytest.raises(CallError, match="You have no hold"):
            service.call("ReleaseHold", "u", cookie)
        assert holder.ask(method="ReleaseHold", values=[cookie])["values"] == []
        service.wait_for_stream("Radio", device="headset", routed_by="rule Radios")
        assert holder.ask(method="ReleaseHold", values=[cookie])["error"] == "org.pwmixer.Error.NoSuchHold"
        holder.ask(method="HoldRouting", values=["app:radio", "again", ""])
        (again,) = holder.ask(method="HoldRouting", values=[stream["selector"], "one stream", ""])["values"]
        assert len(service.get("Holds")) == 2
        player.kill()
        assert holder.wait("released")["values"] == [again, "What was held has ended."]
    session.wait_for(lambda: service.get("Holds") == [], "the holds to end with their holder")


def test_only_what_is_routed_can_be_held(service: Service) -> None:
    with pytest.raises(CallError, match="is not routed anywhere"):
        service.call("HoldRouting", "sss", "@sink", "", "")


def test_the_hundred_and_first_hold_is_refused_and_what_is_said_of_them_is_bounded(service: Service) -> None:
    service.session.play("Radio")
    service.wait_for_stream("Radio")
    with Client.gjs(service.session, "holder.js") as holder:
        for _ in range(100):
            assert holder.ask(method="HoldRouting", values=["app:radio", "x" * 1000, "y" * 1000])["values"]
        refused = holder.ask(method="HoldRouting", values=["app:radio", "", ""])
        assert refused["error"] == "org.freedesktop.DBus.Error.LimitsExceeded"
        assert {(hold["reason"], hold["app_id"]) for hold in service.get("Holds")} == {("x" * 128, "y" * 128)}
