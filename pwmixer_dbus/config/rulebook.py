"""The rules in force and where they are written: those of a person's config.toml first, then those of `rules.toml`.

config.toml is never written. `rules.toml`, beside it, is what the service writes for those who call it; a person may edit
it too. A file that cannot be used is left as it is, and the last good rules stay in force.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.load import (
    SIZE_LIMIT,
    decoded,
    parsed,
    problem_line,
    problem_lines,
    read_text,
    rule_text,
)
from pwmixer_dbus.config.replacing import replace_file
from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, NotFoundError, StaleError
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.patterns import are_too_many, pattern_text
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import (
    NAME_LIMIT,
    PROBLEM_LIMIT,
    RULE_LIMIT,
    TOO_MANY_PATTERNS,
    Problem,
    Rule,
    read_tables,
    repeated_names,
    rule_from_plain,
    rule_to_plain,
)

log = logging.getLogger(__name__)

LAST = -1
"""The position after all other rules."""

_HEAD = """\
# Rules that pwmixer has written, for `pwmixerctl remember`, `pwmixerctl rules` and other programs. They come after those
# of config.toml. They may be edited here; comments are lost when pwmixer writes the file again, so those belong there.
"""

Rules = tuple[Rule, ...]


def rules_path(config: Path) -> Path:
    """Name the file of the service's rules that belongs to a configuration."""
    return config.parent / "rules.toml"


def read_rules(path: Path) -> Rules:
    """Read the service's rules; none where there is no file.

    Raises ConfigError with every problem found, one per line, in the form of `load`.
    """
    text = read_text(path)
    return () if text is None else parsed_rules(path, text, parsed(path, text))


def plain_rules(path: Path, data: bytes) -> list[dict[str, object]]:
    """Read rules as a person hands them over: as in the file, or one alone without its header. Raises ConfigError."""
    text = decoded(path, data)
    document = parsed(path, text)
    tables = document if "rules" in document or not document else {"rules": [document]}
    return [rule_to_plain(rule) for rule in parsed_rules(path, text, tables)]


def plain_text(rules: Sequence[Mapping[str, object]]) -> str:
    """Write rules in their plain form as `plain_rules` reads them."""
    return "\n".join(rule_text(rule_from_plain(rule)) for rule in rules)


def parsed_rules(path: Path, text: str, document: Mapping[str, object]) -> Rules:
    """Turn a document that has nothing but rules into them; raises ConfigError as `read_rules` does."""
    told: list[Problem] = [
        ((key,), "no such key; only [[rules]] stand here") for key in document if key != "rules"
    ]
    rules, problems = read_tables(document.get("rules", []), origin="service")
    told += problems
    if told:
        raise ConfigError(problem_lines(path, text, told[:PROBLEM_LIMIT], len(told)))
    return rules


def rules_text(rules: Sequence[Rule]) -> str:
    """Write rules.toml, so that `read_rules` gives the rules back."""
    return "\n".join([_HEAD, *(rule_text(rule) for rule in rules)])


def merged(config: Rules, own: Rules) -> Rules:
    """Put the service's rules after a person's. One whose name a person uses, or that is one too many, is left out."""
    taken = {rule.name for rule in config}
    return (*config, *(rule for rule in own if rule.name not in taken))[:RULE_LIMIT]


def placed(config: Rules, own: Rules, rule: Rule, position: int) -> Rules:
    """Put a rule among the service's so that it stands at a position of all; never before a person's rules."""
    shown = merged(config, own)
    if position == LAST or position >= len(shown):
        return (*own, rule)
    place = own.index(shown[position]) if position > len(config) else 0
    return (*own[:place], rule, *own[place:])


class RuleBook:
    """The two files' rules. Methods that change the service's write them at once, and only then put them in force.

    `revision` grows with every change of `rules`; `problem` has one line for each problem of rules.toml and with it,
    "" when all is well. `on_change` is called with the rules whenever they have changed. Changes raise
    InvalidArgumentError, NotFoundError, LimitsExceededError, StaleError, and ConfigError where the file is a bad one or
    cannot be written; then nothing has changed.
    """

    def __init__(
        self,
        path: Path,
        config: Rules = (),
        *,
        config_path: Path | None = None,
    ) -> None:
        self.path = path
        self.on_change: Callable[[Rules], None] = lambda _: None
        self.revision = 1
        self._config_path = config_path or path.with_name("config.toml")
        self._config = config
        self._own: Rules = ()
        self._rules = config
        self._error = ""
        self._text: str | None = None

    @property
    def rules(self) -> Rules:
        """The rules in force, in their order."""
        return self._rules

    @property
    def problem(self) -> str:
        """What is wrong with rules.toml, else which of its rules are not in force; "" when all is well."""
        if self._error:
            return self._error
        if len(self._rules) == len(self._config) + len(self._own):
            return ""
        in_force = {rule.name for rule in self._rules if rule.origin == "service"}
        left_out = [rule.name for rule in self._own if rule.name not in in_force]
        names = ", ".join(f"“{name}”" for name in left_out[:PROBLEM_LIMIT])
        return problem_line(self.path, f"not in force, since {self._config_path.name} uses the name: {names}")

    def read(self) -> None:
        """Read rules.toml again; raises ConfigError for a bad one, which leaves the last good rules in force."""
        try:
            text = read_text(self.path)
            if text == self._text and not self._error:
                return
            own = () if text is None else parsed_rules(self.path, text, parsed(self.path, text))
        except ConfigError as error:
            self._error = str(error)
            raise
        self._error, self._text = "", text
        self._put_in_force(self._config, own)

    def replace_config(self, rules: Rules) -> None:
        """Put other rules of a person in force."""
        self._put_in_force(rules, self._own)

    def take_over(self, config: Rules, rules: Rules, revision: int) -> None:
        """Go on from the rules of another instance, which were in force at a revision; `config` are a person's now.

        Where rules.toml is a bad one now, the service's rules among them stay in force. Nobody is called.
        """
        if self._error:
            self._own = tuple(rule for rule in rules if rule.origin == "service")
        self._config = config
        self._rules = merged(config, self._own)
        self.revision = revision if self._rules == rules else revision + 1

    def list_plain(self) -> list[dict[str, object]]:
        """List the rules in their plain form, in their order."""
        return [rule_to_plain(rule) for rule in self._rules]

    def set_service_rules(self, revision: int, rules: Sequence[Rule]) -> int:
        """Replace the service's rules, if nothing has changed since a revision; 0 is any. Return the new revision.

        A person's rules may stand among them as they are, so that what `list_plain` gives can be written back. A bad
        file is kept as rules.toml.bad.
        """
        self._look()
        if revision not in {0, self.revision}:
            raise StaleError(
                f"The rules have changed since revision {revision}, which is {self.revision} now; look again and decide anew."
            )
        for rule in rules:
            if rule.origin == "config" and rule not in self._config:
                raise self._not_ours(rule.name)
        own = tuple(rule for rule in rules if rule.origin != "config")
        for _, name in repeated_names(own):
            raise InvalidArgumentError(f"There are two rules called “{name}”; each name is used once.")
        for rule in own:
            self._check_name(rule.name, ())
        self._check_count(len(self._config) + len(own))
        if self._error:
            import shutil  # noqa: PLC0415 - only where a file is damaged

            aside = self.path.with_name(f"{self.path.name}.bad")
            try:
                shutil.copyfile(self.path, aside)
            except FileNotFoundError:
                pass  # somebody has taken it away
            except OSError as error:
                sentence = (
                    f"{self.path} cannot be kept as {aside.name}: {error.strerror}; nothing has changed."
                )
                raise ConfigError(sentence) from error
        return self._write(own)

    def add(self, rule: Rule, position: int = LAST) -> int:
        """Add a rule at a position of all rules, from 0; LAST is the end. Return the new revision."""
        self._check_file()
        self._check_name(rule.name, self._own)
        self._check_count(len(self._config) + len(self._own) + 1)
        if position < LAST:
            raise InvalidArgumentError(
                f"A position counts from 0, or is {LAST} for the last, not {position}."
            )
        return self._write(placed(self._config, self._own, replace(rule, origin="service"), position))

    def remove(self, name: str) -> int:
        """Remove a rule of the service. Return the new revision."""
        rule = self._named(name)
        return self._write(tuple(other for other in self._own if other is not rule))

    def move(self, name: str, position: int) -> int:
        """Put a rule of the service at a position of all rules, from 0. Return the new revision."""
        rule = self._named(name)
        others = tuple(other for other in self._own if other is not rule)
        return self._write(placed(self._config, others, rule, position))

    def put_first(self, rules: Sequence[Rule], instead_of: Collection[str] = ()) -> int:
        """Put rules of different names before the others of the service, in place of those of some names.

        Return the new revision.
        """
        self._check_file()
        others = tuple(other for other in self._own if other.name not in instead_of)
        for rule in rules:
            self._check_name(rule.name, others)
        self._check_count(len(self._config) + len(rules) + len(others))
        return self._write((*(replace(rule, origin="service") for rule in rules), *others))

    def _named(self, name: str) -> Rule:
        self._check_file()
        if any(rule.name == name for rule in self._config):
            raise self._not_ours(name)
        for rule in self._own:
            if rule.name == name:
                return rule
        there = ", ".join(f"“{rule.name}”" for rule in self._own[:5])
        raise NotFoundError(
            f"There is no rule called “{clean(name, NAME_LIMIT)}”." + (f" There is {there}." if there else "")
        )

    def _not_ours(self, name: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"The rule “{clean(name, NAME_LIMIT)}” is a person's own; edit it in {self._config_path}."
        )

    def _check_name(self, name: str, others: Rules) -> None:
        if any(rule.name == name for rule in self._config):
            raise InvalidArgumentError(
                f"There is a rule called “{name}” in {self._config_path}; choose another name."
            )
        if any(rule.name == name for rule in others):
            raise InvalidArgumentError(f"There is a rule called “{name}” already; choose another name.")

    @staticmethod
    def _check_count(count: int) -> None:
        if count > RULE_LIMIT:
            raise LimitsExceededError(f"There can be {RULE_LIMIT} rules, not {count}.")

    def _look(self) -> None:
        """Read the file, since a person may have written it a moment ago, or nobody tells us of that."""
        with contextlib.suppress(ConfigError):
            self.read()

    def _check_file(self) -> None:
        self._look()
        if self._error:
            raise ConfigError(f"{self._error}\nMend that file first, or take it away.")

    def _write(self, own: Rules) -> int:
        text = rules_text(own)
        if len(text.encode()) > SIZE_LIMIT:  # nobody would read it again
            raise LimitsExceededError(
                f"{self.path} would be larger than 1 MiB; make the rules fewer or shorter."
            )
        if are_too_many(pattern_text(p) for rule in own for c in rule.conditions for p in c.patterns):
            raise LimitsExceededError(f"In {self.path}, {TOO_MANY_PATTERNS}.")
        try:
            replace_file(Path(os.path.realpath(self.path)), text)  # what is a link stays one
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be written: {error.strerror}; nothing has changed."
            ) from error
        self._error, self._text = "", text
        self._put_in_force(self._config, own)
        return self.revision

    def _put_in_force(self, config: Rules, own: Rules) -> None:
        self._config, self._own = config, own
        rules = merged(config, own)
        if rules == self._rules:
            return
        self._rules = rules
        self.revision += 1
        log.info("rules in force: %d", len(rules))
        self.on_change(rules)
