"""The commands that only look: each asks the service for its document, and prints a view of it."""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from pwmixer_dbus.cli import DONE, CommandError, for_reader, printable, wire
from pwmixer_dbus.cli.change import percent
from pwmixer_dbus.cli.paths import object_path
from pwmixer_dbus.cli.template import Record, fill

if TYPE_CHECKING:
    from pwmixer_dbus.cli.render import Terminal

# `get` is what status bars call; drawing, and what it imports, is left to those that draw.
Document = dict[str, Any]

_WISHES = {
    "preference": "It is the device that its application prefers.",
    "person": "Somebody wants it there, which counts before every rule.",
}
_COLLECTIONS = ("sinks", "sources", "streams", "apps", "groups", "cards")


def run(name: str, options: dict[str, str], arguments: list[str]) -> int:
    """Run one command. Raises UsageError, and what the wire raises."""
    match name:
        case "status":
            _status(options)
        case "list":
            _list(options, arguments[0])
        case "get":
            _get(options, arguments[0] if arguments else "@sink")
        case "describe":
            print_json(_found(arguments[0]) if arguments else _whole())
        case "explain":
            _explain(options, arguments[0])
        case _:
            with wire.Connection() as bus:
                paths = _paths(bus, arguments[0])
                remark_absence(bus.get("Connected"))
            for path in paths:
                print(printable(path))
    return DONE


def remark_absence(connected: object) -> None:
    """Say on standard error that what is printed is no longer so; a program goes on with what was known last."""
    if not connected:
        from pwmixer_dbus.cli.render import ABSENT  # noqa: PLC0415

        print(for_reader(ABSENT), file=sys.stderr)


def document(bus: wire.Connection) -> Document:
    """Ask for the whole state."""
    found = json.loads(str(bus.call("Describe", "a{sv}", {})))
    return found if isinstance(found, dict) else {}


def records(bus: wire.Connection, whole: Document, selector: str) -> list[Record]:
    """Find what a selector stands for; only what is no plain selector is asked of the service. Raises CommandError."""
    found = of_selector(whole, selector) or at_paths(whole, _paths(bus, selector))
    if not found:
        raise CommandError(f"Nothing is called '{selector}' now.")
    return found


def of_selector(whole: Document, selector: str) -> list[Record]:
    """Find what a plain selector or a default stands for; nothing where it takes the service to know."""
    default = whole["defaults"].get(selector.removeprefix("@"))
    wanted = f"{selector[1:]}:{default}" if selector.startswith("@") and default else selector
    return [record for record in _everything(whole) if record["selector"] == wanted]


def at_paths(whole: Document, paths: list[str]) -> list[Record]:
    """Find what stands at object paths."""
    wanted = set(paths)
    return [record for record in _everything(whole) if object_path(record["selector"]) in wanted]


def _everything(whole: Document) -> list[Record]:
    return [record for collection in _COLLECTIONS for record in whole[collection]]


def wants_color(options: dict[str, str]) -> bool:
    """Decide on colours: what was asked for, else the terminal, unless NO_COLOR is set (no-color.org)."""
    asked = options.get("--color", "auto")
    if asked != "auto":
        return asked == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal(options: dict[str, str]) -> "Terminal":
    """Say what the output can show."""
    from shutil import get_terminal_size  # noqa: PLC0415

    from pwmixer_dbus.cli.render import Terminal  # noqa: PLC0415

    return Terminal(width=get_terminal_size().columns, color=wants_color(options), unicode=_is_unicode())


def screen() -> "Terminal | None":
    """Say what the terminal can show, or nothing where the output is none and goes to a program, whole."""
    return terminal({}) if sys.stdout.isatty() else None


def explanation(found: Record, terminal: "Terminal | None" = None) -> str:
    """Write what ExplainStream says as sentences and a table."""
    from pwmixer_dbus.cli.render import sentence, table  # noqa: PLC0415
    from pwmixer_dbus.cli.rule_words import trials  # noqa: PLC0415

    parts = [sentence(f"{found['stream']} belongs to {found['app_name']} ({found['app_id']}).", terminal)]
    if found["evidence"]:
        rows = [(f"  {e['source']}", str(e["value"]) or "-", e["verdict"]) for e in found["evidence"]]
        shown = table([[printable(c) for c in row] for row in rows], terminal, is_whole=True)
        parts.append(f"Evidence, strongest first:\n{shown}")
    if found["rules"]:
        parts.append(f"Rules, in their order:\n{trials(found['rules'], terminal)}")
    said = [f"It is on {found['actual_device'] or 'no device at the moment'}."]
    if found["desired_device"] and found["desired_device"] != found["actual_device"]:
        said.append(f"It should be on {found['desired_device']}.")
    if wish := _WISHES.get(found.get("desired_by", "")):
        said.append(wish)
    if found.get("reason"):
        said.append(found["reason"])
    if found["moved_by"]:
        said.append(f"It was last moved by {found['moved_by']}.")
    return "\n\n".join([*parts, "\n".join(sentence(text, terminal) for text in said)])


def _list(options: dict[str, str], kind: str) -> None:
    whole = _whole()
    found = [r for r in whole[kind] if "--all" in options or not (r.get("monitor") or r.get("hidden"))]
    if not found and whole["connected"] and "--json" not in options:
        from pwmixer_dbus.cli.render import NOTHING  # noqa: PLC0415

        hint = " --all lists what is left out." if whole[kind] else ""
        print(for_reader(NOTHING[kind] + hint), file=sys.stderr)
    if not _print_for_programs(found, options) and found:
        from pwmixer_dbus.cli.render import table  # noqa: PLC0415

        print(table([_cells(kind, record) for record in found], screen()))


def _cells(kind: str, record: Record) -> list[str]:
    """Choose the columns of a kind: the selector, the volume, the name for people, and what stands out."""
    level = record["active_profile"] or "-" if kind == "cards" else _level(record)
    match kind:
        case "cards":
            about = [record["description"]]
        case "streams":
            title = " - ".join(dict.fromkeys(filter(None, (record["app_name"], record["media_name"]))))
            about = [title, record["device"] or "no device"]
        case "apps":
            about = [record["name"], "" if record["streams"] else "not playing"]
        case "groups":
            about = [" ".join(f"stream:{number}" for number in record["streams"])]
        case _:
            about = [record["description"], "default" if record["default"] else ""]
    return [printable(cell) for cell in (record["selector"], level, *about)]


def _get(options: dict[str, str], selector: str) -> None:
    found = _found(selector)
    if _print_for_programs(found, options):
        return
    for record in found:
        if "volume" not in record:
            raise CommandError(f"{record['selector']} has no volume.")
    if len(found) == 1:
        print(_level(found[0]))
        return
    from pwmixer_dbus.cli.render import table  # noqa: PLC0415

    print(table([(printable(record["selector"]), _level(record)) for record in found], screen()))


def _print_for_programs(found: list[Record], options: dict[str, str]) -> bool:
    """Print records as JSON or by a template, where that is asked for; return whether it is."""
    if "--json" in options:
        print_json(found)
    elif "--format" in options:
        for record in found:
            print(fill(options["--format"], record))
    return bool({"--json", "--format"}.intersection(options))


def _level(record: Record) -> str:
    """Write a volume, and that it is muted."""
    return percent(record["volume"] or 0.0) + (" muted" if record["muted"] else "")


def _explain(options: dict[str, str], selector: str) -> None:
    with wire.Connection() as bus:
        found = json.loads(str(bus.call("ExplainStream", "s", selector)))
        remark_absence(bus.get("Connected"))
    if "--json" in options:
        print_json(found)
    else:
        print(explanation(found, screen()))


def _whole() -> Document:
    with wire.Connection() as bus:
        whole = document(bus)
    remark_absence(whole["connected"])
    return whole


def _found(selector: str) -> list[Record]:
    with wire.Connection() as bus:
        whole = document(bus)
        found = records(bus, whole, selector)
    remark_absence(whole["connected"])
    return found


def _paths(bus: wire.Connection, selector: str) -> list[str]:
    found = bus.call("Resolve", "s", selector)
    return found if isinstance(found, list) else []


def print_json(value: object) -> None:
    """Print JSON; what a terminal could not show, or could obey, is escaped, which JSON can do without loss."""
    text = json.dumps(value, indent=2, ensure_ascii=not _is_unicode())
    print(text if all(printable(line) == line for line in text.split("\n")) else json.dumps(value, indent=2))


def _is_unicode() -> bool:
    return sys.stdout.encoding.lower().startswith("utf")


def _status(options: dict[str, str]) -> None:
    if "--json" in options:
        print_json(_whole())
        return
    from pwmixer_dbus.cli.render import status  # noqa: PLC0415

    with wire.Connection() as bus:
        whole = document(bus)
    print(status(whole, terminal(options), everything="--all" in options))
