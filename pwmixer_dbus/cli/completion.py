"""Completion for bash, zsh and fish: the scripts hand the words to `complete-words`, which knows the table and what lives.

So the three shells agree, and a script that was installed once never grows old. Nothing is ever printed but candidates:
without a service there are fewer.
"""

import os
import re
from collections.abc import Iterable, Iterator

from pwmixer_dbus.cli import DONE, CommandError, printable, wire
from pwmixer_dbus.cli.commands import COMMANDS, Command, choices
from pwmixer_dbus.cli.show import Document, document, records

Candidate = tuple[str, str]

_COLLECTIONS = {
    "APP|DEVICE": ("apps", "sinks", "sources"),
    "TARGET": ("sinks", "sources", "apps", "groups", "streams"),
    "DEVICE": ("sinks", "sources"),
    "STREAMS": ("apps", "groups", "streams"),
    "STREAM": ("streams",),
    "STREAM|APP": ("apps", "streams"),
    "CARD": ("cards",),
    "SELECTOR": ("sinks", "sources", "apps", "groups", "streams", "cards"),
}
_DEFAULTS = (("@sink", "the default output"), ("@source", "the default input"))

# bash breaks words at colons, and completes only what follows the last one.
_BASH = r"""_pwmixerctl() {
    local IFS=$'\n' word head=
    local line=${COMP_LINE:0:COMP_POINT}
    local -a words
    IFS=$' \t' read -a words <<< "$line"
    [[ $line == *[[:space:]] && $line != *\\[[:space:]] ]] && words+=("")
    local current=${words[${#words[@]}-1]}
    [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && head=${current%"${current##*:}"}
    COMPREPLY=()
    while IFS= read -r word; do
        word=${word%%$'\t'*}
        printf -v word %q "${word#"$head"}"
        COMPREPLY+=("$word")
    done < <("${words[0]}" complete-words -- "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
}
complete -F _pwmixerctl pwmixerctl
"""

_ZSH = r"""#compdef pwmixerctl
_pwmixerctl() {
    local -a values shown
    local line
    for line in ${(f)"$(_call_program targets ${(q)words[1]} complete-words -- ${(q)${(Q)words[2,CURRENT]}} 2>/dev/null)"}; do
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    compadd -l -d shown -a values
}
if [[ $funcstack[1] == _pwmixerctl ]]; then _pwmixerctl "$@"; else compdef _pwmixerctl pwmixerctl; fi
"""

_FISH = r"""function __pwmixerctl_words
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete-words -- $words[2..-1] 2>/dev/null
end
complete -c pwmixerctl -f -a '(__pwmixerctl_words)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(name: str, words: list[str]) -> int:
    """Print the script of a shell, or complete the last of the words behind `--`. Raises UsageError."""
    if name == "complete-words":
        try:
            for value, meaning in complete(words[1:]):
                print(f"{value}\t{meaning}" if meaning else value)
        except CommandError:
            pass  # a shell waits at its prompt; it has no place for a sentence
        return DONE
    COMMANDS[name].check(words)
    print(SCRIPTS[words[0]], end="")
    return DONE


def complete(words: list[str]) -> list[Candidate]:
    """Return what the last word may become, each with its meaning. Raises what the wire raises."""
    *before, current = words or [""]
    found = list(_candidates(before, current))
    fitting = [each for each in found if each[0].startswith(current)]
    return fitting or [each for each in _shorter(found) if each[0].startswith(current.lower())]


def _shorter(found: Iterable[Candidate]) -> Iterator[Candidate]:
    """Name applications as people do, by the last part of the id or by the name: app:firefox."""
    for selector, meaning in found:
        if selector.startswith("app:"):
            names = re.split("[:.]", selector)[-1].lower(), meaning.lower()
            yield from ((f"app:{name}", meaning) for name in dict.fromkeys(names))


def _candidates(before: list[str], current: str) -> Iterator[Candidate]:
    if not before:
        yield from ((c.name, c.summary) for c in COMMANDS.values() if not c.hidden)
        yield from (("--help", "show help"), ("--version", "show the version"))
        return
    command = COMMANDS.get(before[0])
    if command is None:
        return
    pending = next((o for o in command.options if o.value and before[-1] in o.names), None)
    if pending is not None and pending.value in _COLLECTIONS:
        yield from _living(pending.value, [])
    elif pending is not None:
        yield from ((choice, pending.meaning) for choice in pending.choices)
    elif current.startswith("-"):
        yield from ((option.names[-1], option.meaning) for option in command.options)
        yield from _options_of_action(before)
        yield ("--help", "show help")
    else:
        yield from _arguments(command, _given(command, before[1:]), current)


def _given(command: Command, words: list[str]) -> list[str]:
    """Keep the arguments among words that may not be complete yet."""
    valued = [name for option in command.options if option.value for name in option.names]
    return [
        w for i, w in enumerate(words) if not w.startswith("-") and (i == 0 or words[i - 1] not in valued)
    ]


def _arguments(command: Command, given: list[str], current: str) -> Iterator[Candidate]:
    if command.name == "rules" and given in (["remove"], ["move"]):
        yield from _own_rules()
    if not command.arguments or (len(given) >= len(command.arguments) and not command.is_open):
        return
    argument = command.arguments[min(len(given), len(command.arguments) - 1)].strip("[].")
    if argument == "TOPIC":
        yield from ((c.name, c.summary) for c in COMMANDS.values() if not c.hidden)
        yield from (("selectors", "how targets are written"), ("templates", "what --format takes"))
        yield ("bars", "what --format takes for a bar")
    elif choices(argument):
        yield from ((word, "") for word in choices(argument))
    elif argument.split("|")[-1] == "FILE":
        yield from ((word, "") for word in argument.split("|")[:-1])
        yield from _files(current)
    elif argument in _COLLECTIONS or argument in {"PORT", "PROFILE"}:
        yield from _living(argument, given)


def _options_of_action(before: list[str]) -> Iterator[Candidate]:
    """Offer the options of an action of `rules` or `config`, which have parsers of their own."""
    match before:
        case ["rules", action, *_]:
            from pwmixer_dbus.cli.rules import parsers  # noqa: PLC0415

            options = parsers().get(action)
        case ["config", *_]:
            from pwmixer_dbus.cli.config import parser  # noqa: PLC0415

            options = parser()
        case _:
            return
    for option in options._actions if options else ():  # noqa: SLF001 - argparse shows them to nobody else
        names = [name for name in option.option_strings if name.startswith("--") and name != "--help"]
        yield from ((name, (option.help or "").replace("%%", "%")) for name in names)


def _own_rules() -> Iterator[Candidate]:
    """Offer the rules that can be changed; they stand in a file, so no service is asked."""
    from pwmixer_dbus.config.errors import ConfigError  # noqa: PLC0415
    from pwmixer_dbus.config.load import config_path  # noqa: PLC0415
    from pwmixer_dbus.config.rulebook import read_rules, rules_path  # noqa: PLC0415

    try:
        yield from ((printable(rule.name), "") for rule in read_rules(rules_path(config_path())))
    except ConfigError:
        return  # 'rules list' tells what is wrong


def _files(current: str) -> Iterator[Candidate]:
    folder = os.path.dirname(current)  # noqa: PTH120 - what was typed stays as it was typed
    try:
        with os.scandir(folder or ".") as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = os.path.join(folder, entry.name)  # noqa: PTH118 - likewise
                yield printable(f"{path}/" if entry.is_dir() else path), ""
    except OSError:
        return


def _living(argument: str, given: list[str]) -> Iterator[Candidate]:
    # A key pressed at a prompt shall not start a service.
    with wire.Connection(auto_start=False) as bus:
        whole = document(bus)
        chosen = records(bus, whole, given[0]) if argument in {"PORT", "PROFILE"} else []
    if argument in {"PORT", "PROFILE"}:
        for record in chosen:
            choices = record.get(f"{argument.lower()}s", [])
            yield from ((printable(choice["name"]), printable(choice["description"])) for choice in choices)
        return
    if argument in {"TARGET", "DEVICE", "SELECTOR"}:
        yield from _DEFAULTS
    for collection in _COLLECTIONS[argument]:
        yield from ((printable(r["selector"]), _meaning(r)) for r in whole[collection])


def _meaning(record: Document) -> str:
    """Say what a record is: a stream's application and title, anything else's name for people."""
    parts = (record.get("app_name"), record.get("media_name")) if "media_name" in record else ()
    return printable(" - ".join(filter(None, parts)) or record.get("description") or record["name"])
