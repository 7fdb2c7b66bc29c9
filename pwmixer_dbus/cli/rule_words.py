"""What rules look like: pure functions from what the service says of them to lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pwmixer_dbus.cli import printable
from pwmixer_dbus.cli.change import percent
from pwmixer_dbus.cli.paths import selector_of
from pwmixer_dbus.cli.render import NOTHING, Terminal, sentence, table
from pwmixer_dbus.cli.wire import PATH

Plain = Mapping[str, Any]

_FILES = {"config": "config.toml", "service": "rules.toml"}


def listing(rules: Sequence[Plain], terminal: Terminal | None = None) -> str:
    """Write rules as a table: place, name, conditions, actions, and the file that they are in."""
    if not rules:
        return "There are no rules; 'pwmixerctl rules suggest' proposes some."
    rows = []
    for place, rule in enumerate(rules, 1):
        off = " (off)" if rule.get("enabled") is False else ""
        then = ", ".join(actions_in_words(rule)) or "nothing"
        row = (
            str(place),
            rule["name"] + off,
            conditions_in_words(rule["match"]),
            then,
            _FILES[rule["origin"]],
        )
        rows.append([printable(cell) for cell in row])
    return table(rows, terminal, heads=("", "RULE", "WHEN", "THEN", "FROM"), is_whole=True)


def conditions_in_words(match: Mapping[str, Sequence[str]]) -> str:
    """Write conditions as a person says them."""
    return " and ".join(_condition(field, patterns) for field, patterns in match.items())


def _condition(field: str, patterns: Sequence[str]) -> str:
    wanted = [_pattern(p) for p in patterns if not p.startswith("!")]
    unwanted = [_pattern(p[1:]) for p in patterns if p.startswith("!")]
    parts = [f"is {' or '.join(wanted)}"] if wanted else []
    parts += [f"is not {' or '.join(unwanted)}"] if unwanted else []
    return f"{field.removeprefix('property:')} {' but '.join(parts)}"


def _pattern(text: str) -> str:
    return text.removeprefix("=") or "missing"


def actions_in_words(rule: Mapping[str, Any]) -> Iterator[str]:
    """Write what a rule does, or what rules together do, as a person says it."""
    if "to" in rule:
        yield f"to {', else '.join(rule['to'])}" + (" even if pinned" if rule.get("force") else "")
    if "volume" in rule:
        yield f"{'held at' if rule.get('locked') else 'starts at'} {percent(rule['volume'])}"
    if "max_volume" in rule:
        yield f"at most {percent(rule['max_volume'])}"
    if "muted" in rule:
        yield "starts muted" if rule["muted"] else "starts unmuted"
    icon = rule.get("icon") or rule.get("icon_name")
    words = {
        f"in group {rule.get('group')}": "group" in rule,
        f"shown as {rule.get('display_name')}": "display_name" in rule,
        f"with icon {icon}": icon is not None,
        "hidden": bool(rule.get("hide")),
        "left alone": bool(rule.get("ignore")),
        "then the rules below": bool(rule.get("continue")),
    }
    yield from (text for text, holds in words.items() if holds)


def trials(tried: Sequence[Mapping[str, Any]], terminal: Terminal | None = None) -> str:
    """Write which rules were tried on a stream, and why each counts or not; what holds for several in a row is said once."""
    rows = []
    for (matched, reason), group in groupby(tried, key=lambda t: (t["matched"], t["reason"])):
        name, *others = (t["name"] for t in group)
        more = f" and {len(others)} more" if others else ""
        rows.append(("  matches" if matched else "  -", name + more, reason))
    return table([[printable(cell) for cell in row] for row in rows], terminal, is_whole=True)


def rehearsal(answer: Mapping[str, Any], terminal: Terminal | None = None) -> str:
    """Write what TestProperties says: each rule, then what would happen."""
    outcome = answer["outcome"]
    words = ", ".join(actions_in_words(outcome)) or ("nothing" if outcome["matched"] else "")
    lines = [trials(answer["trials"], terminal)] if answer["trials"] else []
    names = ", ".join(outcome["matched"])
    lines.append(sentence(f"Rule {names}: {words}." if names else "No rule is for it.", terminal))
    return "\n".join(lines)


def forecast(
    results: Sequence[Sequence[str]], state: Mapping[str, Any], terminal: Terminal | None = None
) -> str:
    """Write what TestRules says: for each stream, where it is, which rule catches it, and where that sends it."""
    if not results:
        return NOTHING["streams"]
    streams = {f"{PATH}/streams/{stream['number']}": stream for stream in state["streams"]}
    devices = {
        device["name"]: device["description"] or device["name"]
        for k in ("sinks", "sources")
        for device in state[k]
    }
    rows = []
    for path, device, rule in results:
        stream = streams.get(path)
        if stream is None:
            continue  # it has gone between the two questions
        here = devices.get(stream["device"], "no device")
        goal = devices.get(selector_of(device).partition(":")[2], "")
        where = f"{here} -> {goal}" if goal and goal != here else f"stays on {here}"
        title = " - ".join(dict.fromkeys(filter(None, (stream["app_name"], stream["media_name"]))))
        row = (stream["selector"], title, rule or "no rule", where)
        rows.append([printable(cell) for cell in row])
    return table(rows, terminal, heads=("STREAM", "WHAT", "RULE", "WHERE"))
