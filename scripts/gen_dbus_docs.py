#!/usr/bin/env python3
"""Write docs/dbus-api.md from the contract in data/dbus-1/interfaces. Run it after a change there.

The comments have the form that gdbus-codegen reads: the name of the member, a line for each argument, and prose. In it,
`Example:` begins the arguments of busctl, without its options: two hyphens cannot stand in XML comments.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "data" / "dbus-1" / "interfaces"
PAGE = ROOT / "docs" / "dbus-api.md"
ORDER = ("Mixer", "Node", "Device", "Stream", "App", "Group", "Card", "Rules")

HEAD = """\
<!-- written by scripts/gen_dbus_docs.py from data/dbus-1/interfaces; change it there -->

# The D-Bus interface

A signature stands before the name of its argument, as in `SetVolume(s target, d volume, a{sv} options) → d effective`: `s`
is text, `d` a double, `b` a boolean, `u` and `t` are whole numbers, `o` an object path, `as` a list of text, `a(sss)` a list
of three texts each, `a{sv}` a dictionary of options, and `v` any of them. busctl takes the same letters:

```sh
busctl --user call org.pwmixer.Mixer /org/pwmixer/Mixer org.pwmixer.Mixer SetVolume "sda{sv}" @sink 0.5 0
busctl --user introspect org.pwmixer.Mixer /org/pwmixer/Default/sink     # the members and their present values
gdbus monitor --session --dest org.pwmixer.Mixer                         # all signals, as they come
```

"""

COMMENT = "!comment"  # no name that an element can have
_ERROR_NAME = re.compile(r"(?<![`\w])org\.(?:pwmixer|freedesktop\.DBus)\.Error\.\w+")
_EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
_NOTES = {"const": "constant", "false": "no signal tells a change"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What is written of an interface or member; `arguments` has a line for each `@name:`."""

    name: str
    arguments: Mapping[str, str]
    text: str
    examples: tuple[str, ...]


UNDOCUMENTED = Comment(name="", arguments=MappingProxyType({}), text="", examples=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument; `direction` is in or out."""

    name: str
    signature: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A method, signal or property. Members are equal when a program cannot tell them apart."""

    kind: str
    name: str
    arguments: tuple[Argument, ...] = ()
    signature: str = ""
    access: str = ""
    annotations: frozenset[tuple[str, str]] = frozenset()
    comment: Comment = field(default=UNDOCUMENTED, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface with its members, in their order."""

    name: str
    members: tuple[Member, ...]
    comment: Comment


def parse(xml: str) -> Mapping[str, Interface]:
    """Read introspection data, with the comments if there are any; returns the interfaces by name."""
    builder = ET.TreeBuilder(insert_comments=True, comment_factory=_comment_element)
    node = ET.fromstring(xml, ET.XMLParser(target=builder))  # noqa: S314 - our own files and service
    return {
        element.attrib["name"]: _interface(element, comment)
        for element, comment in _commented(node)
        if element.tag == "interface"
    }


def contract() -> Mapping[str, Interface]:
    """Read the whole contract, one interface a file, in the order of the page."""
    names = [".".join(["org.pwmixer", *dict.fromkeys(("Mixer", part))]) for part in ORDER]
    return {name: parse((CONTRACT / f"{name}.xml").read_text(encoding="utf-8"))[name] for name in names}


def page() -> str:
    """Return docs/dbus-api.md as it should be."""
    interfaces = contract()
    general = re.sub(r"^# ", "## ", next(iter(interfaces.values())).comment.text, flags=re.MULTILINE)
    chapters = ["\n".join(_chapter(interface)) for interface in interfaces.values()]
    return HEAD + "\n".join([_quoted(general), "", *chapters])


def _comment_element(text: str | None) -> ET.Element:
    element = ET.Element(COMMENT)
    element.text = text
    return element


def _commented(parent: ET.Element) -> Iterator[tuple[ET.Element, Comment]]:
    """Go through the elements below one, each with the comment right before it."""
    comment = UNDOCUMENTED
    for element in parent:
        if element.tag == COMMENT:
            comment = _comment(element.text or "")
        else:
            yield element, comment
            comment = UNDOCUMENTED


def _comment(raw: str) -> Comment:
    head, _, body = textwrap.dedent(raw).strip().partition("\n\n")
    name, *lines = head.splitlines()
    pairs = (line.removeprefix("@").partition(": ") for line in lines)
    prose = [line for line in body.splitlines() if not line.startswith("Example: ")]
    return Comment(
        name=name.removesuffix(":"),
        arguments={argument: text for argument, _, text in pairs},
        text="\n".join(prose).strip(),
        examples=tuple(re.findall(r"^Example: (.*)$", body, flags=re.MULTILINE)),
    )


def _interface(element: ET.Element, comment: Comment) -> Interface:
    members = tuple(_member(child, said) for child, said in _commented(element) if child.tag != "annotation")
    return Interface(name=element.attrib["name"], members=members, comment=comment)


def _member(element: ET.Element, comment: Comment) -> Member:
    way = "in" if element.tag == "method" else "out"
    return Member(
        kind=element.tag,
        name=element.attrib["name"],
        arguments=tuple(
            Argument(name=a.get("name", ""), signature=a.attrib["type"], direction=a.get("direction", way))
            for a in element.iter("arg")
        ),
        signature=element.get("type", ""),
        access=element.get("access", ""),
        annotations=frozenset((a.attrib["name"], a.attrib["value"]) for a in element.iter("annotation")),
        comment=comment,
    )


def _chapter(interface: Interface) -> Iterator[str]:
    short = interface.name.rpartition(".")[2]
    yield f"## {interface.name}\n"
    if short != ORDER[0]:  # what is said of the root is the introduction
        yield f"{_quoted(interface.comment.text)}\n"
    for kind, title in (("method", "Method"), ("property", "Property"), ("signal", "Signal")):
        members = [m for m in interface.members if m.kind == kind]
        if members:
            yield f"| {title} | |\n|---|---|"
            yield from (_row(short, m) for m in members)
            yield ""
    for member in interface.members:
        yield from _section(short, member, interface.comment.arguments["since"])


def _row(short: str, member: Member) -> str:
    summary = re.split(r"(?<=[.:;]) |\.$", " ".join(member.comment.text.split()))[0].rstrip(".:;")
    return f"| [`{member.name}`](#{short.lower()}{member.name.lower()}) | {_quoted(summary)} |"


def _section(short: str, member: Member, since: str) -> Iterator[str]:
    comment = member.comment
    yield f"### {short}.{member.name}\n\n```\n{readable(member)}\n```\n"
    yield f"{_quoted(comment.text)}\n"
    lines = [f"- `{a.name}`: {comment.arguments[a.name]}" for a in member.arguments]
    if lines:
        yield "\n".join([*lines, ""])
    if comment.arguments["since"] != since:
        yield f"Since {comment.arguments['since']}.\n"
    if comment.examples:
        yield "\n".join(["```sh", *map(_command, comment.examples), "```", ""])


def _command(example: str) -> str:
    """Complete an example; a negative number must not look like an option."""
    return f"busctl --user {'-- ' if ' -' in example else ''}{example}"


def readable(member: Member) -> str:
    """Write the signature of a member as a person reads it."""
    match member.kind:
        case "property":
            notes = ["read and write" if member.access == "readwrite" else "read"]
            notes += [_NOTES[value] for name, value in sorted(member.annotations) if name == _EMITS]
            return f"{member.signature} {member.name}    ({', '.join(notes)})"
        case "signal":
            return f"{member.name}({_listed(member.arguments)})"
    takes = [a for a in member.arguments if a.direction == "in"]
    gives = [a for a in member.arguments if a.direction == "out"]
    return f"{member.name}({_listed(takes)})" + (f" → {_listed(gives)}" if gives else "")


def _listed(arguments: Iterable[Argument]) -> str:
    return ", ".join(f"{a.signature} {a.name}" for a in arguments)


def _quoted(text: str) -> str:
    """Set the names of errors as code."""
    return _ERROR_NAME.sub(r"`\g<0>`", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
