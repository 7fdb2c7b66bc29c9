"""A program holds streams where they are, for as long as it wants or lives; another toolkit than ours does it."""

import pytest
from client import Client
from service import NAME, ROOT, CallError, Service


def test_what_is_held_stays_until_it_is_released_or_its_holder_leaves(service: Service) -> None:
    session = service.session
    player = session.play("Radio")
    stream = service.wait_for_stream("Radio", device="speakers")
    with Client.gjs(session, "proxy.js", ROOT, NAME) as holder:
        (cookie,) = holder.ask(
            do="call", method="HoldRouting", arguments=["app:radio", "a test", "org.example.Test"]
        )["value"]
        (hold,) = service.get("Holds")
        assert (hold["cookie"], hold["target"], hold["reason"]) == (cookie, "app:radio", "a test")
        service.add_rule("Radios", app="radio", to="headset")
        explained = service.explain(stream["selector"])
        assert (explained["desired_device"], explained["actual_device"]) == ("headset", "speakers")
        assert "A program holds it where it is" in explained["reason"]
        with pytest.raises(CallError, match="You have no hold"):
            service.call("ReleaseHold", "u", cookie)
        assert holder.ask(do="call", method="ReleaseHold", arguments=[cookie])["value"] == []
        service.wait_for_stream("Radio", device="headset", routed_by="rule Radios")
        assert (
            holder.ask(do="call", method="ReleaseHold", arguments=[cookie])["error"]
            == "org.pwmixer.Error.NoSuchHold"
        )
        holder.ask(do="call", method="HoldRouting", arguments=["app:radio", "again", ""])
        (again,) = holder.ask(
            do="call", method="HoldRouting", arguments=[stream["selector"], "one stream", ""]
        )["value"]
        assert len(service.get("Holds")) == 2
        player.kill()
        assert holder.wait("signal", lambda e: e["name"] == "HoldReleased")["body"] == [
            again,
            "What was held has ended.",
        ]
    session.wait_for(lambda: service.get("Holds") == [], "the holds to end with their holder")


def test_only_what_is_routed_can_be_held(service: Service) -> None:
    with pytest.raises(CallError, match="is not routed anywhere"):
        service.call("HoldRouting", "sss", "@sink", "", "")


def test_the_hundred_and_first_hold_is_refused_and_what_is_said_of_them_is_bounded(service: Service) -> None:
    service.session.play("Radio")
    service.wait_for_stream("Radio")
    with Client.gjs(service.session, "proxy.js", ROOT, NAME) as holder:
        for _ in range(100):
            assert holder.ask(
                do="call", method="HoldRouting", arguments=["app:radio", "x" * 1000, "y" * 1000]
            )["value"]
        refused = holder.ask(do="call", method="HoldRouting", arguments=["app:radio", "", ""])
        assert refused["error"] == "org.freedesktop.DBus.Error.LimitsExceeded"
        assert {(hold["reason"], hold["app_id"]) for hold in service.get("Holds")} == {("x" * 128, "y" * 128)}
