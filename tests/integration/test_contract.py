"""The contract in data/dbus-1/interfaces says what the service says of itself, all of it, and is documented."""

import re
import shlex

import gen_dbus_docs
import pytest
from gen_dbus_docs import Interface, Member, contract, parse
from service import ALIAS, NAME, ROOT, CallError, Service

from pwmixer_dbus.outlets.bus.interfaces import OBJECT_MANAGER, OURS, STANDARD
from pwmixer_dbus.outlets.bus.interfaces import Interface as Offered
from pwmixer_dbus.outlets.bus.introspect import node_xml

MEMBERS = [(i, m) for i in contract().values() for m in i.members]
WORDS = [f"{i.name}.{m.name}" for i, m in MEMBERS]

REFUSED = {
    "SetPort": "has no port",
    "SetProfile": "Nothing is called",
    "/org/pwmixer/Mixer/cards/": "There is no object at",
    "ReleaseHold": "You have no hold",
}
"""What is answered to examples that need hardware, in a session that has none, or a hold of the caller's own."""


def introspected(service: Service, path: str) -> dict[str, Interface]:
    """Ask GLib what is at a path; it refuses what it cannot parse."""
    command = ("gdbus", "introspect", "--session", "--dest", NAME, "--object-path", path)
    service.session.run(*command)
    return dict(parse(service.session.run(*command, "--xml")))


def same(interface: Interface) -> tuple[str, set[Member]]:
    """Take from an interface what has to be equal: everything but order and comments."""
    assert len(set(interface.members)) == len(interface.members)
    return interface.name, set(interface.members)


def test_each_interface_has_its_file_and_each_file_its_interface() -> None:
    names = {interface.name for interface in OURS}
    assert {file.stem for file in gen_dbus_docs.CONTRACT.iterdir()} == names == set(contract())


@pytest.mark.parametrize("interface", OURS, ids=lambda interface: interface.name)
def test_the_contract_is_what_is_offered(interface: Offered) -> None:
    offered = parse(node_xml([interface]))[interface.name]
    assert same(offered) == same(contract()[interface.name])


def test_the_running_service_introspects_as_the_contract_says(service: Service) -> None:
    service.session.play("Firefox", sink="speakers")
    (stream,) = service.call("Resolve", "s", "stream:*")
    (app,) = service.call("Resolve", "s", "app:firefox")
    standard = {interface.name for interface in STANDARD}
    node = f"{NAME}.Node"
    for path, names in {
        ROOT: {NAME, f"{NAME}.Rules", OBJECT_MANAGER.name},
        f"{ROOT}/sinks/speakers": {node, f"{NAME}.Device"},
        f"{ROOT}/sources/microphone": {node, f"{NAME}.Device"},
        f"{ALIAS}/sink": {node, f"{NAME}.Device"},
        stream: {node, f"{NAME}.Stream"},
        app: {node, f"{NAME}.App"},
    }.items():
        there = introspected(service, path)
        assert set(there) == names | standard
        for name in names & set(contract()):
            assert same(there[name]) == same(contract()[name])


def test_the_running_service_sends_all_properties_of_the_contract(service: Service) -> None:
    properties = "org.freedesktop.DBus.Properties"
    for path, name in {
        ROOT: NAME,
        f"{ROOT}/sinks/speakers": f"{NAME}.Node",
        f"{ALIAS}/source": f"{NAME}.Device",
    }.items():
        values = service.busctl("call", NAME, path, properties, "GetAll", "s", name)
        assert set(values) == {m.name for m in contract()[name].members if m.kind == "property"}


@pytest.mark.parametrize(("interface", "member"), MEMBERS, ids=WORDS)
def test_every_member_and_argument_is_explained(interface: Interface, member: Member) -> None:
    comment = member.comment
    assert comment.name == member.name, "a comment begins with the name of what follows it"
    assert len(comment.text) > 10
    assert set(comment.arguments) == {"since", *(argument.name for argument in member.arguments)}
    assert all(comment.arguments.values())
    assert re.fullmatch(r"\d+\.\d+", comment.arguments["since"])
    is_verb = member.kind == "method" and interface.name == NAME
    assert comment.examples or not is_verb, "a verb shows how it is called"


def test_every_interface_is_explained() -> None:
    for interface in contract().values():
        assert interface.comment.name == interface.name
        assert interface.comment.text
        assert set(interface.comment.arguments) == {"short_description", "since"}


def test_every_error_that_is_named_is_in_the_table_of_errors() -> None:
    text = "".join(file.read_text() for file in gen_dbus_docs.CONTRACT.iterdir())
    table = set(re.findall(r"^ +\| `(org\.[\w.]+Error\.\w+)`", text, flags=re.MULTILINE))
    assert table == set(re.findall(r"org\.(?:pwmixer|freedesktop\.DBus)\.Error\.\w+", text))


def test_every_example_works_as_it_stands(service: Service) -> None:
    service.session.play("Firefox", sink="speakers")
    service.add_rule("Talk", app="firefox", group="Chat")
    service.wait_for_stream("Firefox", device="speakers", group="Chat")
    for _, member in MEMBERS:
        for example in member.comment.examples:
            refusal = next((text for words, text in REFUSED.items() if words in example), "")
            assert member.name in example
            if refusal:
                with pytest.raises(CallError, match=refusal):
                    service.busctl("--", *shlex.split(example))
            else:
                service.busctl("--", *shlex.split(example))


def test_the_page_is_made_from_the_contract_as_it_is() -> None:
    assert gen_dbus_docs.PAGE.read_text(encoding="utf-8") == gen_dbus_docs.page(), (
        "run scripts/gen_dbus_docs.py"
    )
