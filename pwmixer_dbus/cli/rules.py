"""`pwmixerctl rules` and `remember`: the rules in words, and every way to change them. Told by the service, never guessed."""

import argparse
import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.unpack import unpack_variants

from pwmixer_dbus.cli import DONE, CommandError, UsageError, printable
from pwmixer_dbus.cli.change import parse_count
from pwmixer_dbus.cli.commands import COMMANDS
from pwmixer_dbus.cli.parser import Parser, parsed
from pwmixer_dbus.cli.paths import selector_of
from pwmixer_dbus.cli.rule_words import forecast, listing, rehearsal
from pwmixer_dbus.cli.show import print_json, remark_absence, screen
from pwmixer_dbus.cli.watch import connect
from pwmixer_dbus.cli.wire import NAME, PATH, failure
from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.load import config_path
from pwmixer_dbus.config.rulebook import plain_rules, plain_text, rules_path, rules_text
from pwmixer_dbus.core.rules import signature_of

Plain = dict[str, Any]
Call = tuple[str, str, Sequence[Any]]
"""A method, with its interface where that is not Rules; its signature; its arguments."""

RULES, PROPERTIES = f"{NAME}.Rules", "org.freedesktop.DBus.Properties"

_LIST: Call = ("ListRules", "", ())
_ENABLED: Call = (f"{PROPERTIES}.Get", "ss", (RULES, "Enabled"))
_OFF = "Rules are switched off; 'pwmixerctl rules enable' switches them on."


def run(name: str, words: list[str]) -> int:
    """Run `rules` or `remember` with its words; return the exit code. Raises CommandError."""
    # What is no text can be no name either, and the bus would not take it.
    words = [word.encode(errors="replace").decode() for word in words]
    if name == "remember":
        _, selectors = COMMANDS[name].parse(words)
        _remember(*selectors)
        return DONE
    options = parsed(parser(), words)
    if options is None:
        return DONE
    try:
        _ACTIONS[options.action](options)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    return DONE


def _remember(selector: str) -> None:
    ((names,),) = _asked(("Remember", "s", [selector]))
    for name in names:
        print(printable(f"added {name}"))


def parser() -> Parser:
    """Make the parser of `pwmixerctl rules`; its manual page is made from it, too."""
    parser = Parser(prog="pwmixerctl rules", description="See and change what happens to which streams.")
    _add_actions(parser)
    return parser


def parsers() -> Mapping[str, Parser]:
    """Make the parsers of the actions."""
    return _add_actions(Parser(prog="pwmixerctl rules")).choices


def _add_actions(parser: Parser) -> "argparse._SubParsersAction[Parser]":
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    shown = actions.add_parser("list", help="show the rules in the order in which they are tried")
    shown.add_argument("--json", action="store_true", help="print JSON")
    _add_options(
        actions.add_parser("add", help="add a rule; without options, those that come as TOML on stdin")
    )
    actions.add_parser("edit", help="open the service's rules in $EDITOR and put them in force")
    removed = actions.add_parser("remove", help="remove a rule of the service")
    removed.add_argument("name", metavar="NAME")
    moved = actions.add_parser("move", help="put a rule elsewhere in the order")
    moved.add_argument("name", metavar="NAME")
    moved.add_argument("place", metavar="PLACE", type=_place, help="as 'list' counts, from 1")
    tested = actions.add_parser("test", help="show what the rules would do, and do nothing")
    tested.add_argument("--on", metavar="FIELD=TEXT,...", help="on a stream that need not be there")
    tested.add_argument("--file", type=Path, help="try the rules of this file in place of those in force")
    tested.add_argument("--json", action="store_true", help="print JSON")
    actions.add_parser(
        "suggest", help="propose rules from what plays or has played, as TOML that 'add' takes"
    )
    actions.add_parser("enable", help="use rules")
    actions.add_parser("disable", help="use no rules until 'enable'")
    for long in (actions.choices["add"], tested):
        long.usage = "%(prog)s [OPTIONS]"  # all of them would not fit a terminal
    return actions


def _place(text: str) -> int:
    return parse_count(text, "place")


def _add_options(parser: Parser) -> None:
    parser.add_argument("--name", help="what the rule is called")
    parser.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="FIELD=PATTERN",
        help="a condition, such as media_name='*Tube*' or app=firefox; all must hold, of one field any",
    )
    parser.add_argument(
        "--to", action="append", metavar="DEVICE", help="where streams go; again for a fallback"
    )
    parser.add_argument("--volume", help="what they start with, such as 50%%")
    parser.add_argument("--max-volume", metavar="VOLUME", help="the most that they can be set to")
    parser.add_argument("--muted", action=argparse.BooleanOptionalAction, help="whether they start muted")
    parser.add_argument("--group", help="the group that they join")
    parser.add_argument(
        "--display-name", metavar="NAME", help="what is shown in place of the application's name"
    )
    parser.add_argument("--icon", metavar="NAME", help="the icon that is shown")
    parser.add_argument("--locked", action="store_true", help="hold the volume against everybody")
    parser.add_argument("--hide", action="store_true", help="leave the streams out of lists")
    parser.add_argument("--ignore", action="store_true", help="leave the streams entirely alone")
    parser.add_argument("--force", action="store_true", help="move streams that are pinned, too")
    parser.add_argument("--continue", action="store_true", help="let rules below add to it")
    parser.add_argument(
        "--place", type=_place, default=0, help="as 'list' counts, from 1; the last without it"
    )


def _list(options: argparse.Namespace) -> None:
    (_, rules), (enabled,) = _asked(_LIST, _ENABLED)
    if options.json:
        print_json(rules)
        return
    if not enabled:
        print(_OFF)
    print(listing(rules, screen()))


def _add(options: argparse.Namespace) -> None:
    given = {key: value for key, value in vars(options).items() if value not in (None, False, [], 0)}
    given.pop("action")
    place = given.pop("place", 0)
    if given:
        tables = [_rule_of(given)]
    elif sys.stdin is None or sys.stdin.isatty():
        raise UsageError("'rules add' needs --name and --match, or rules as TOML on its standard input.")
    else:
        tables = plain_rules(Path("stdin"), sys.stdin.buffer.read())
    if not tables:  # as where nothing was suggested
        print("there is no rule to add")
        return
    if len(tables) == 1:
        add = ("AddRule", "a{sv}i", [_typed(tables[0]), place - 1 if place > 0 else -1])
        _, (_, rules) = _asked(add, _LIST)
    else:
        ((revision, rules),) = _asked(_LIST)
        at = place - 1 if place > 0 else len(rules)
        together = [_typed(r) for r in (*rules[:at], *tables, *rules[at:])]
        _, (_, rules) = _asked(("SetRules", "uaa{sv}", [revision, together]), _LIST)
    for asked, plain in enumerate(tables, place):
        where = _where(rules, plain.get("name"), asked) if place else ""
        print(printable(f"added {plain.get('name')}{where}"))


def _where(rules: Sequence[Plain], name: object, asked: int) -> str:
    """Say at which place a rule is; it may be another one than was asked for, since a person's own rules stay first."""
    place = next((place for place, rule in enumerate(rules, 1) if rule["name"] == name), asked)
    return f" to place {place}" + (f" (limited; {asked} was asked)" if place != asked else "")


def _rule_of(given: Mapping[str, Any]) -> Plain:
    """Make the plain form of options; what is wrong with it, the service says."""
    plain: Plain = {}
    for option, value in given.items():
        plain[option] = _level(value) if option in {"volume", "max_volume"} else value
    match: dict[str, list[str]] = {}
    for condition in plain.pop("match", []):
        field, equals, pattern = condition.partition("=")
        if not equals:
            raise UsageError(f"--match takes FIELD=PATTERN, such as app=firefox, not '{condition}'.")
        match.setdefault(field, []).append(pattern)
    return {**plain, "match": match} if match else plain


def _level(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _edit(_options: argparse.Namespace) -> None:
    path = rules_path(config_path())
    ((revision, _),) = _asked(_LIST)
    before = path.read_bytes() if path.exists() else rules_text(()).encode()
    with tempfile.NamedTemporaryFile(prefix="pwmixer-rules-", suffix=".toml", delete=False) as file:
        file.write(before)
    kept = Path(file.name)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        status = subprocess.run([*shlex.split(editor), file.name], check=False).returncode
    except (OSError, ValueError) as error:
        kept.unlink()
        why = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"The editor '{editor}' does not start: {why}; set EDITOR.") from error
    after = kept.read_bytes()
    if status or after == before:
        kept.unlink()
        print("nothing has changed")
        return
    try:
        rules = plain_rules(kept, after)
        _asked(("SetRules", "uaa{sv}", [revision, [_typed(rule) for rule in rules]]))
    except (CommandError, ConfigError) as error:
        raise CommandError(f"{error} Nothing has changed; your text is kept in {kept}.") from error
    kept.unlink()
    print(f"the service has {len(rules)} {'rule' if len(rules) == 1 else 'rules'} now")


def _remove(options: argparse.Namespace) -> None:
    _asked(("RemoveRule", "s", [options.name]))
    print(printable(f"removed {options.name}"))


def _move(options: argparse.Namespace) -> None:
    _, (_, rules) = _asked(("MoveRule", "su", [options.name, options.place - 1]), _LIST)
    print(printable(f"moved {options.name}{_where(rules, options.name, options.place)}"))


def _test(options: argparse.Namespace) -> None:
    rules = []
    if options.file:
        try:
            data = options.file.read_bytes()
        except OSError as error:
            raise CommandError(f"{options.file} cannot be read: {error.strerror}") from error
        rules = [_typed(rule) for rule in plain_rules(options.file, data)]
        if not rules:  # which to the service are those in force
            raise CommandError(f"There is no rule in {options.file} to test.")
    if options.on is not None:
        ((answer,),) = _asked(("TestProperties", "aa{sv}a{ss}", [rules, _facts(options.on)]))
        found = json.loads(answer)
        if options.json:
            print_json(found)
        else:
            print(rehearsal(found, screen()))
        return
    (results,), (described,), (enabled,) = _asked(
        ("TestRules", "aa{sv}", [rules]), (f"{NAME}.Describe", "a{sv}", [{}]), _ENABLED
    )
    state = json.loads(described)
    remark_absence(state["connected"])
    if options.json:
        keys = ("stream", "device", "rule")
        words = ([selector_of(path), selector_of(device) or None, rule] for path, device, rule in results)
        print_json([dict(zip(keys, row, strict=True)) for row in words])
        return
    if not enabled and not rules:
        print(_OFF)
    print(forecast(results, state, screen()))


def _facts(text: str) -> dict[str, str]:
    """Read FIELD=TEXT,FIELD=TEXT; a comma that no field follows belongs to the text before it."""
    facts: dict[str, str] = {}
    last = ""
    for part in text.split(","):
        field, equals, value = part.partition("=")
        if (equals and field.strip().replace("_", "").isalpha()) or field.startswith("property:"):
            last = field.strip()
            facts[last] = value
        elif last:
            facts[last] += f",{part}"
        else:
            raise UsageError(f"--on takes FIELD=TEXT,..., such as app_name=Firefox, not '{text}'.")
    return facts


def _suggest(_options: argparse.Namespace) -> None:
    ((rules,),) = _asked(("SuggestRules", "", ()))
    if not rules:
        print("# Nothing to suggest: all is where it\n# would go by itself.")
    print(plain_text(rules), end="")


def _switch(options: argparse.Namespace) -> None:
    is_on = Variant("b", options.action == "enable")
    _asked((f"{PROPERTIES}.Set", "ssv", [RULES, "Enabled", is_on]))


_ACTIONS = {
    "list": _list,
    "add": _add,
    "edit": _edit,
    "remove": _remove,
    "move": _move,
    "test": _test,
    "suggest": _suggest,
    "enable": _switch,
    "disable": _switch,
}


def _typed(plain: Mapping[str, object]) -> dict[str, Variant]:
    return {key: Variant(signature_of(value), value) for key, value in plain.items()}


def _asked(*calls: Call) -> list[list[Any]]:
    """Make calls over one connection; return the values of each reply, without their types. Raises CommandError."""
    return asyncio.run(_ask(calls))


async def _ask(calls: Sequence[Call]) -> list[list[Any]]:
    bus = await connect()
    try:
        return [await _one(bus, *call) for call in calls]
    finally:
        bus.disconnect()


async def _one(bus: MessageBus, member: str, signature: str, arguments: Sequence[Any]) -> list[Any]:
    interface, _, method = member.rpartition(".")
    reply = await bus.call(
        Message(
            destination=NAME,
            path=PATH,
            interface=interface or RULES,
            member=method,
            signature=signature,
            body=list(arguments),
        )
    )
    if reply is None or reply.message_type is MessageType.ERROR:
        body = [] if reply is None else reply.body
        raise failure("" if reply is None else str(reply.error_name), str(body[0]) if body else "")
    return [unpack_variants(value) for value in reply.body]
