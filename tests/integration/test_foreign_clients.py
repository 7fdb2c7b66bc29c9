"""The same API through the toolkits that people have: gjs, PyGObject, gdbus and busctl, which nobody here wrote."""

from collections.abc import Callable, Iterator

import pytest
from client import Client, example
from compare import wait_until_equal
from defaults import set_default
from recorder import Recorder
from service import ALIAS, NAME, ROOT, Json, Service
from session import Session

SPEAKERS = f"{ROOT}/sinks/speakers"
NODE, DEVICE, STREAM, APP = (f"{NAME}.{name}" for name in ("Node", "Device", "Stream", "App"))
Watching = Callable[[Session], Client]


@pytest.fixture
def slider(playing: Service) -> Iterator[Client]:
    """Make a gjs proxy of the speakers' Node."""
    with Client.gjs(playing.session, "proxy.js", SPEAKERS, NODE) as client:
        yield client


@pytest.fixture(params=["gjs", "PyGObject"])
def watching(request: pytest.FixtureRequest) -> Watching:
    """Start an object manager client, by either toolkit."""
    if request.param == "gjs":
        return lambda session: Client.gjs(session, "manager.js")
    return lambda session: Client.python(session, "manager.py")


def now_has(name: str, value: object) -> Callable[[Json], bool]:
    """Look for a change that carries this value."""
    return lambda event: bool(name in event["changed"] and event["changed"][name] == value)


def assert_nothing_is_ever_invalidated(client: Client) -> None:
    changes = client.all("changed")
    assert changes
    assert all(change["changed"] and not change["invalidated"] for change in changes)


def test_a_gjs_proxy_reads_properties_and_its_assignment_reaches_the_server(
    slider: Client, playing: Service
) -> None:
    read = {name: slider.ask(do="read", name=name)["value"] for name in ("Name", "Kind", "Volume", "Muted")}
    assert read == {"Name": "speakers", "Kind": "sink", "Volume": 1, "Muted": False}
    slider.ask(do="write", name="Volume", value=0.4)
    slider.wait("changed", now_has("Volume", 0.4))
    assert " 40%" in playing.session.pactl("get-sink-volume", "speakers")
    slider.ask(do="write", name="Muted", value=True)
    slider.wait("changed", now_has("Muted", True))
    assert "Mute: yes" in playing.session.pactl("get-sink-mute", "speakers")
    assert_nothing_is_ever_invalidated(slider)


def test_a_gjs_proxy_sees_what_others_change(slider: Client, playing: Service) -> None:
    playing.session.pactl("set-sink-volume", "speakers", "25%")
    slider.wait("changed", now_has("Volume", 0.25))
    assert slider.ask(do="read", name="Volume")["value"] == 0.25
    assert slider.ask(do="read", name="ChannelVolumes")["value"] == [0.25, 0.25]
    assert_nothing_is_ever_invalidated(slider)


def test_a_clamped_write_is_healed_in_the_cache_of_gjs_every_time(slider: Client) -> None:
    for _ in range(2):  # the second time nothing changes in the server, and yet the cache is wrong
        assert slider.ask(do="write", name="Volume", value=9)["value"] == 9
        slider.wait("changed", now_has("Volume", 1))
        assert slider.ask(do="read", name="Volume")["value"] == 1
    assert_nothing_is_ever_invalidated(slider)


def test_a_refused_write_is_healed_in_the_cache_of_gjs(slider: Client) -> None:
    slider.ask(do="write", name="Volume", value=0.6)
    slider.wait("changed", now_has("Volume", 0.6))
    for hostile in ("NaN", "Infinity", "-Infinity"):
        assert slider.ask(do="write", name="Volume", number=hostile)["value"] == hostile
        slider.wait("changed", now_has("Volume", 0.6))
        assert slider.ask(do="read", name="Volume")["value"] == 0.6


REFUSED: tuple[tuple[str, str, str, object], ...] = (
    (SPEAKERS, DEVICE, "ActivePort", "telepathy"),
    (f"{ROOT}/streams/1", STREAM, "Device", f"{ROOT}/sinks/nowhere"),
    (f"{ROOT}/streams/1", NODE, "ChannelVolumes", [0.5]),
    (f"{ROOT}/apps/name_3aradio", NODE, "ChannelVolumes", [0.5, 0.5]),
)


def test_whatever_gjs_wrote_in_vain_is_healed(playing: Service) -> None:
    for path, interface, name, refused in REFUSED:
        with Client.gjs(playing.session, "proxy.js", path, interface) as client:
            true = client.ask(do="read", name=name)["value"]
            assert client.ask(do="write", name=name, value=refused)["value"] == refused
            client.wait("changed", now_has(name, true))
            assert client.ask(do="read", name=name)["value"] == true
            assert_nothing_is_ever_invalidated(client)


HEALED: tuple[tuple[str, str, str, object, object], ...] = (
    (SPEAKERS, NODE, "ChannelVolumes", [9.0, 0.5], [1, 0.5]),
    (f"{ALIAS}/sink", NODE, "Volume", 9.0, 1),
    (SPEAKERS, NODE, "Volume", 0.50004, 0.5),
    (f"{ALIAS}/sink", NODE, "Volume", 0.50004, 0.5),
    (SPEAKERS, NODE, "ChannelVolumes", [0.50004, 0.25], [0.5, 0.25]),
    (f"{ROOT}/streams/1", NODE, "Volume", -1, 0),
    (f"{ROOT}/apps/name_3aradio", NODE, "Volume", 9.0, 1),
    (f"{ROOT}/apps/name_3aradio", NODE, "Volume", 0.50004, 0.5),
    (ROOT, NAME, "MaxVolume", 1e308, 1.5),
)


def test_a_write_that_was_clamped_or_rounded_is_healed_also_when_nothing_changes(playing: Service) -> None:
    for path, interface, name, asked, given in HEALED:
        with Client.gjs(playing.session, "proxy.js", path, interface) as client:
            for _ in range(2):
                assert client.ask(do="write", name=name, value=asked)["value"] == asked
                client.wait("changed", now_has(name, given))
                assert client.ask(do="read", name=name)["value"] == given


def test_a_write_that_is_rounded_is_announced_once_where_it_changes_something(playing: Service) -> None:
    for path in (SPEAKERS, f"{ROOT}/apps/name_3aradio", f"{ROOT}/streams/1"):
        with Client.gjs(playing.session, "proxy.js", path, NODE) as client:
            for asked, given in ((0.40004, 0.4), (0.3, 0.3)):
                client.ask(do="write", name="Volume", value=asked)
                client.wait("changed", now_has("Volume", given))
                assert client.ask(do="read", name="Volume")["value"] == given
            assert [change["changed"].get("Volume") for change in client.all("changed")] == [0.4, 0.3]


def test_gjs_calls_the_verbs_with_options_and_gets_values_and_errors(playing: Service) -> None:
    with Client.gjs(playing.session, "proxy.js", ROOT, NAME) as root:

        def call(method: str, *given: object, **options: object) -> Json:
            return root.ask(do="call", method=method, arguments=given, options=options)

        said = call("SetVolume", "@sink", 0.3, context=["s", "panel"], quiet=["b", True])
        assert said["value"] == [0.3]
        assert call("AdjustVolume", "@sink", 0.1, limit=["d", 0.35])["value"] == [0.35]
        assert call("SetMuted", "app:radio", "toggle")["value"] == [True]
        assert call("Move", "app:radio", "headset")["value"] == [[f"{ROOT}/streams/1"]]
        refused = call("SetVolume", "@sink", 0.3, loudly=["b", True])
        assert refused["error"] == "org.freedesktop.DBus.Error.InvalidArgs"
        assert "There is no option “loudly”" in refused["message"]
        refused = call("SetVolume", "app:nobody", 0.3)
        assert refused["error"] == "org.pwmixer.Error.NotFound"
        contexts = [e["body"][4] for e in root.all("signal") if e["name"] == "ClientChange"]
        assert contexts == ["panel", "", "", ""]
        assert [e["body"][2] for e in root.all("signal") if e["name"] == "VolumeClamped"] == [0.35]
    wait_until_equal(playing)


def test_the_alias_of_the_default_sink_follows_it_in_gjs(playing: Service) -> None:
    session = playing.session
    session.play("Film", sink="headset")
    # A pactl would leave at once, see defaults.py.
    playing.call("SetMuted", "ssa{sv}", "sink:headset", "on", 0)
    wait_until_equal(playing)
    with Client.gjs(session, "proxy.js", f"{ALIAS}/sink", NODE) as alias:
        assert alias.ask(do="read", name="Description")["value"] == "Speakers"
        set_default(session, sink="headset")
        alias.wait("changed", now_has("Description", "Headset"))
        assert alias.ask(do="read", name="Muted")["value"] is True
        alias.ask(do="write", name="Muted", value=False)
        alias.wait("changed", now_has("Muted", False))
        assert "Mute: no" in session.pactl("get-sink-mute", "headset")
        assert_nothing_is_ever_invalidated(alias)


def test_the_alias_announces_also_the_name_of_another_default(playing: Service) -> None:
    with Client.gjs(playing.session, "proxy.js", f"{ALIAS}/sink", NODE) as alias:
        assert alias.ask(do="read", name="Name")["value"] == "speakers"
        set_default(playing.session, sink="headset")
        alias.wait("changed", lambda event: event["changed"].get("Description") == "Headset")
        assert alias.ask(do="read", name="Name")["value"] == "headset"


def test_a_gjs_proxy_survives_a_restart_of_the_service(slider: Client, playing: Service) -> None:
    playing.session.pactl("set-sink-volume", "speakers", "70%")
    slider.wait("changed", now_has("Volume", 0.7))
    playing.stop()
    slider.wait("owner", lambda event: event["owner"] is None)
    assert slider.ask(do="read", name="Volume")["value"] is None
    playing.session.pactl("set-sink-volume", "speakers", "20%")
    playing.start()
    slider.wait("owner", lambda event: event["owner"])
    playing.session.pactl("set-sink-volume", "speakers", "30%")
    slider.wait("changed", now_has("Volume", 0.3))
    assert slider.ask(do="read", name="Volume")["value"] == 0.3
    slider.ask(do="write", name="Volume", value=0.5)
    slider.wait("changed", now_has("Volume", 0.5))


def test_an_object_manager_client_knows_all_objects_from_the_start(
    watching: Watching, playing: Service
) -> None:
    playing.session.record("Recorder", source="microphone")
    playing.wait_for_stream("Recorder", device="microphone")
    with watching(playing.session) as client:
        objects = client.ask()["objects"]
    assert objects.keys() == {
        f"{ROOT}/{path}"
        for path in (
            *("sinks/speakers", "sinks/headset"),
            *("sources/speakers_2emonitor", "sources/headset_2emonitor", "sources/microphone"),
            *("streams/1", "streams/2", "apps/name_3aradio", "apps/name_3arecorder"),
        )
    }
    kinds = {"sinks": DEVICE, "sources": DEVICE, "streams": STREAM, "apps": APP}
    for path, interfaces in objects.items():
        assert interfaces.keys() == {NODE, kinds[path.split("/")[4]]}
        assert None not in [value for values in interfaces.values() for value in values.values()]
    described = playing.describe()
    assert {path: o[NODE]["Volume"] for path, o in objects.items() if "/streams/" in path} == {
        f"{ROOT}/streams/{stream['number']}": stream["volume"] for stream in described["streams"]
    }
    assert objects[f"{ROOT}/streams/1"][STREAM]["Device"] == SPEAKERS


def test_an_object_manager_client_sees_streams_and_sinks_come_change_and_go(
    watching: Watching, playing: Service
) -> None:
    session = playing.session
    with watching(session) as client:
        player = session.play("Film", sink="headset")
        added = client.wait("added", lambda event: "/streams/" in event["path"])
        assert added["interfaces"].keys() == {NODE, STREAM}, "complete in one go"
        assert added["interfaces"][STREAM]["AppName"] == "Film"
        index = str(added["interfaces"][NODE]["Index"])
        session.pactl("set-sink-input-volume", index, "44%")
        client.wait("changed", lambda e: e["path"] == added["path"] and now_has("Volume", 0.44)(e))
        player.kill()
        client.wait("removed", lambda event: event["path"] == added["path"])
        module = session.add_null_sink("third", "Third")
        sink = client.wait("added", lambda event: event["path"] == f"{ROOT}/sinks/third")
        assert sink["interfaces"].keys() == {NODE, DEVICE}
        session.pactl("unload-module", str(module))
        client.wait("removed", lambda event: event["path"] == f"{ROOT}/sinks/third")
        app = f"{ROOT}/apps/name_3afilm"
        assert client.ask()["objects"][app][APP]["Streams"] == [], "an application stays known"
        assert client.all("interface-added") == client.all("interface-removed") == []
        assert_nothing_is_ever_invalidated(client)


def test_an_object_manager_client_survives_a_restart_of_the_service(
    watching: Watching, playing: Service
) -> None:
    with watching(playing.session) as client:
        before = client.ask()["objects"]
        playing.stop()
        client.wait("owner", lambda event: event["owner"] is None)
        assert client.ask()["objects"] == {}
        playing.start()
        client.wait("owner", lambda event: event["owner"])
        playing.session.wait_for(lambda: client.ask()["objects"] == before, "the same objects as before")
        playing.session.pactl("set-sink-volume", "speakers", "35%")
        client.wait("changed", now_has("Volume", 0.35))


def test_gdbus_introspects_calls_and_explains_errors(playing: Service) -> None:
    def gdbus(verb: str, path: str, *arguments: str) -> str:
        return playing.session.run(
            "gdbus", verb, "--session", f"--dest={NAME}", f"--object-path={path}", *arguments
        )

    def call(*arguments: str) -> str:
        return gdbus("call", ROOT, f"--method={NAME}.{arguments[0]}", *arguments[1:]).strip()

    everything = gdbus("introspect", "/", "--recurse")
    for path in (ROOT, SPEAKERS, f"{ROOT}/streams/1", f"{ROOT}/apps/name_3aradio", f"{ALIAS}/sink"):
        assert f"node {path} {{" in everything
    assert "readwrite d Volume = 1.0;" in gdbus("introspect", SPEAKERS)
    assert call("SetVolume", "@sink", "0.4", "{'context': <'terminal'>}") == "(0.40000000000000002,)"
    assert call("SetMuted", "stream:1", "on", "{}") == "(true,)"
    assert call("Resolve", "sink:*") == f"([objectpath '{SPEAKERS}', '{ROOT}/sinks/headset'],)"
    with pytest.raises(Exception, match=r"org.pwmixer.Error.NotFound: Nothing is called “sink:nobody” now"):
        call("SetDefault", "sink:nobody")
    wait_until_equal(playing)


def test_gdbus_monitor_shows_changes_with_their_values(playing: Service) -> None:
    session = playing.session
    session.spawn("gdbus-monitor", "gdbus", "monitor", "--session", f"--dest={NAME}")

    def shows(text: str) -> None:
        session.wait_for(lambda: text in session.log_tail("gdbus-monitor", 1000), text)

    shows("is owned by")
    session.pactl("set-sink-volume", "speakers", "50%")
    shows(f"{SPEAKERS}: org.freedesktop.DBus.Properties.PropertiesChanged ('{NODE}', {{'Volume': <0.5>")
    shows(f"{ALIAS}/sink: org.freedesktop.DBus.Properties.PropertiesChanged ('{NODE}', {{'Volume': <0.5>")
    session.play("Film")
    shows(f"{ROOT}: org.freedesktop.DBus.ObjectManager.InterfacesAdded (objectpath '{ROOT}/streams/2', {{'")
    changes = [
        line for line in session.log_tail("gdbus-monitor", 1000).splitlines() if "PropertiesChanged" in line
    ]
    assert not [line for line in changes if not line.endswith("@as [])")]


def test_busctl_introspects_reads_writes_calls_and_shows_the_tree(playing: Service) -> None:
    session = playing.session

    def busctl(*arguments: str) -> str:
        return session.run("busctl", "--user", *arguments)

    tree = busctl("tree", "--list", NAME).split()
    for path in (ROOT, SPEAKERS, f"{ROOT}/streams/1", f"{ROOT}/apps/name_3aradio", f"{ALIAS}/source"):
        assert path in tree
    for path in tree:
        assert "org.freedesktop.DBus.Properties" in busctl("introspect", NAME, path)
    rows = [line.split() for line in busctl("introspect", NAME, SPEAKERS).splitlines()]
    assert [".Volume", "property", "d", "1", "emits-change", "writable"] in rows
    assert [".Name", "property", "s", '"speakers"', "const"] in rows
    busctl("set-property", NAME, SPEAKERS, NODE, "Volume", "d", "0.45")
    assert busctl("get-property", NAME, SPEAKERS, NODE, "Volume") == "d 0.45\n"
    assert " 45%" in session.pactl("get-sink-volume", "speakers")
    called = busctl(
        "call", NAME, ROOT, NAME, "SetVolume", "sda{sv}", "@sink", "0.5", "1", "context", "s", "x"
    )
    assert called == "d 0.5\n"
    with pytest.raises(Exception, match=r"No sink and no source is called “loud” now"):
        busctl("call", NAME, ROOT, NAME, "SetDefault", "s", "loud")


def test_busctl_monitor_understands_every_message(playing: Service) -> None:
    session = playing.session
    recorder = Recorder(playing)
    playing.call("SetVolume", "sda{sv}", "@sink", 0.5, 0)
    playing.managed_objects()
    session.play("Film")
    session.wait_for(
        lambda: any(m.get("member") == "InterfacesAdded" for m in recorder.messages()),
        "the new stream's signal",
    )
    members = [m["member"] for m in recorder.messages() if m["type"] == "signal"]
    assert {"PropertiesChanged", "ClientChange", "InterfacesAdded"} <= set(members)


def test_an_interface_that_is_not_named_is_any_for_reading_a_property(service: Service) -> None:
    """The D-Bus specification allows the empty interface name."""
    get = ("call", NAME, SPEAKERS, "org.freedesktop.DBus.Properties", "Get", "ss")
    assert service.busctl(*get, "", "Volume") == 1.0


def test_the_example_for_gjs_works_as_it_stands(playing: Service) -> None:
    with example(playing.session, "gjs.md", "js", "gjs", "-m") as lines:
        assert next(lines) == "Radio: 100%\n"
        playing.session.wait_for(
            lambda: playing.get("Volume", path=SPEAKERS, interface="Node") == 0.4, "its volume to be set"
        )
        playing.session.pactl("set-sink-input-volume", str(playing.stream_of("Radio")["index"]), "42%")
        assert next(lines) == "Radio: 42%\n"
