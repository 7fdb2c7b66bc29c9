"""Introspection data, made from the tables only when somebody asks.

Nothing is escaped: names and signatures of D-Bus have no character that XML would mind.
"""

from collections.abc import Iterable

from pwmixer_dbus.outlets.bus.interfaces import STANDARD, Argument, Interface

DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
EMITS_CHANGED = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def node_xml(interfaces: Iterable[Interface], children: Iterable[str] = ()) -> str:
    """Return the introspection of one object: its interfaces, the standard ones, and the names of its children."""
    lines = ["<node>"]
    for interface in (*interfaces, *STANDARD):
        lines += _interface_lines(interface)
    lines += [f'  <node name="{child}"/>' for child in children]
    return DOCTYPE + "\n".join([*lines, "</node>", ""])


def _interface_lines(interface: Interface) -> list[str]:
    lines = [f'  <interface name="{interface.name}">']
    for method in interface.methods:
        arguments = _arguments(method.takes, "in") + _arguments(method.returns, "out")
        lines += _member("method", method.name, arguments)
    for signal in interface.signals:
        lines += _member("signal", signal.name, _arguments(signal.carries, ""))
    for prop in interface.properties:
        access = "readwrite" if prop.writable else "read"
        head = f'    <property name="{prop.name}" type="{prop.signature}" access="{access}"'
        if prop.emits == "true":
            lines.append(f"{head}/>")
        else:
            annotation = f'      <annotation name="{EMITS_CHANGED}" value="{prop.emits}"/>'
            lines += [f"{head}>", annotation, "    </property>"]
    return [*lines, "  </interface>"]


def _member(tag: str, name: str, arguments: list[str]) -> list[str]:
    if not arguments:
        return [f'    <{tag} name="{name}"/>']
    return [f'    <{tag} name="{name}">', *arguments, f"    </{tag}>"]


def _arguments(arguments: Iterable[Argument], direction: str) -> list[str]:
    way = f' direction="{direction}"' if direction else ""
    return [f'      <arg name="{n}" type="{signature}"{way}/>' for n, signature in arguments]
