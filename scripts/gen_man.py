#!/usr/bin/env python3
"""Write the manual pages in data/man. Run it after a change of a command, an option, a key, the contract or docs/service.md.

pwmixerctl(1) is made from the table of commands, pwmixer-dbus(8) from its options and docs/service.md, pwmixer.toml(5) from
docs/configuration.md, and org.pwmixer.Mixer(5) from what gen_dbus_docs makes of the contract. Each source is held to the
code by a test, and so are the pages.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import gen_dbus_docs

from pwmixer_dbus import __version__
from pwmixer_dbus.cli import config, rules, usage
from pwmixer_dbus.cli.commands import COMMANDS, SELECTORS, Command
from pwmixer_dbus.daemon import parser as service_parser

ROOT = Path(__file__).resolve().parent.parent
MAN = ROOT / "data" / "man"
DATE = "2026-11-20"
"""When what the pages say last changed much; a page without a date is none."""

_GLYPHS = {
    "\\": "\\e",
    "“": "\\(lq",
    "”": "\\(rq",
    "→": "\\(->",
    "…": "\\&...",
    "●": "\\(bu",
    "'": "\\(aq",
    "`": "\\(ga",
    "^": "\\(ha",
    "~": "\\(ti",
}
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[((?:[^\]`]|`[^`]*`)+)\]\(([^)]+)\)")
_PARSERS = {"config": config.parser, "rules": rules.parser}


def pages() -> Mapping[Path, str]:
    """Make every page: its place below data, and its text."""
    service = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    settings = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    made = (
        ("pwmixerctl", 1, "see and change the volumes of the desktop", _control()),
        ("pwmixer-dbus", 8, "the audio mixer of the desktop as a D-Bus session service", _service(service)),
        ("pwmixer.toml", 5, "configuration of the audio mixer", _described(settings)),
        ("org.pwmixer.Mixer", 5, "D-Bus interface of the audio mixer", _described(gen_dbus_docs.page())),
    )
    names = {f"{name}({section})" for name, section, *_ in made}
    return {
        MAN / f"man{section}" / f"{name}.{section}": "\n".join(
            _tidy([*_head(name, section, what), *body, ".SH SEE ALSO", *_see(names - {f"{name}({section})"})])
        )
        + "\n"
        for name, section, what, body in made
    }


def _head(name: str, section: int, what: str) -> Iterator[str]:
    yield '.\\" written by scripts/gen_man.py; change its sources'
    yield f'.TH {name.upper()} {section} {DATE} "pwmixer {__version__}" pwmixer'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {what}"


def _see(names: Iterable[str]) -> Iterator[str]:
    pages = sorted(names, key=lambda name: (name[-2], name))
    yield ",\n".join(f".BR {_text(page[:-3])} {page[-3:]}" for page in pages)


def _control() -> Iterator[str]:
    yield ".SH SYNOPSIS"
    yield "\\fBpwmixerctl\\fR [\\fICOMMAND\\fR] [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]"
    yield ".SH DESCRIPTION"
    yield from _paragraph(
        f"{usage.PURPOSE} It asks the service `pwmixer-dbus` over the session bus, which starts it if need be."
    )
    yield ".SH COMMANDS"
    for command in COMMANDS.values():
        if not command.hidden:
            yield from _command(command)
    yield ".SH SELECTORS"
    yield from _paragraph(usage.SELECTORS_INTRO)
    yield from _terms(SELECTORS)
    yield ".SH TEMPLATES"
    yield from _plain(usage.TEMPLATES_INTRO)
    for kind, fields in usage.TEMPLATE_FIELDS.items():
        yield from _paragraph(f"Fields of {kind}:")
        yield from _terms(fields)
    yield from _plain(usage.BARS_INTRO)
    yield ".SH EXIT STATUS"
    yield from _terms(usage.CODES)


def _command(command: Command) -> Iterator[str]:
    yield f".SS {_quoted(command.usage())}"
    yield from _paragraph(f"{command.summary[0].upper()}{command.summary[1:]}. {command.text}".strip())
    if command.name in _PARSERS:
        yield from _parser(_PARSERS[command.name]())
    yield from _terms(
        (" ".join(filter(None, (", ".join(o.names), o.value))), o.meaning) for o in command.options
    )
    for line, meaning in command.examples:
        yield from _code([line])
        yield from _paragraph(f"{meaning[0].upper()}{meaning[1:]}.")


def _service(prose: str) -> Iterator[str]:
    parser = service_parser()
    yield ".SH SYNOPSIS"
    yield "\\fBpwmixer-dbus\\fR [\\fIOPTIONS\\fR]"
    title, _, rest = prose.partition("\n## ")
    yield from _described(title)
    yield ".SH OPTIONS"
    yield from _parser(parser)
    yield from _paragraph(f"{(parser.epilog or '').capitalize()}.")
    yield from _markdown(f"## {rest}")


def _parser(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Go through what a parser takes, and what its commands take."""
    for action in parser._actions:  # noqa: SLF001 - argparse shows them to nobody else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            helps = {choice.dest: choice.help for choice in action._choices_actions}  # noqa: SLF001 - likewise
            for name, below in action.choices.items():
                yield from _terms([(f"{parser.prog} {name}", helps.get(name) or "")])
                if inner := list(_parser(below)):
                    yield from (".RS", *inner, ".RE")
        elif not isinstance(action, argparse._HelpAction):  # noqa: SLF001 - likewise
            value = "" if action.nargs == 0 else action.metavar or action.dest.upper()
            names = ", ".join(action.option_strings) or "|".join(action.choices or ()) or str(value)
            shown = f"{names} {value}".rstrip() if action.option_strings else names
            yield from _terms([(shown, (action.help or "").replace("%%", "%"))])


def _described(text: str) -> Iterator[str]:
    """Turn a document into a page: what stands before its first chapter is the description."""
    yield ".SH DESCRIPTION"
    body = re.sub(r"\A(<!--.*?-->\s*)?# [^\n]*\n", "", text, flags=re.DOTALL)
    yield from _markdown(body)


def _markdown(text: str) -> Iterator[str]:
    """Write the few forms of Markdown that our documents have."""
    lines = iter([*re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL).splitlines(), ""])
    block: list[str] = []
    for line in lines:
        if line.startswith("```"):
            yield from _block(block)
            block = []
            yield from _code(list(iter(lambda: next(lines), "```")))
        elif line.startswith("#") or not line.strip() or (line.startswith("- ") and block):
            yield from _block(block)
            block = [line] if line.startswith("- ") else []
            if line.startswith("#"):
                hashes, _, title = line.partition(" ")
                yield (
                    f".SH {_quoted(_bare(title).upper())}"
                    if hashes in {"#", "##"}
                    else f".SS {_quoted(_bare(title))}"
                )
        else:
            block.append(line)
    yield from _block(block)


def _block(lines: list[str]) -> Iterator[str]:
    if not lines:
        return
    if lines[0].startswith("|"):
        yield from _table(lines)
    elif lines[0].startswith("- "):
        yield ".IP \\(bu 2"
        yield from _filled(" ".join(line.strip() for line in lines)[2:])
    else:
        yield from _paragraph(" ".join(line.strip() for line in lines))


def _table(lines: list[str]) -> Iterator[str]:
    head, _, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    for row in rows:
        term, *between, meaning = (cell.replace("\\|", "|") for cell in row)
        notes = "; ".join(
            f"{name.lower()}: {cell}" for name, cell in zip(head[1:-1], between, strict=True) if cell
        )
        yield ".TP"
        yield _inline(term if "`" in term else f"**{term}**")
        yield from _filled(f"{meaning} ({notes})" if notes else meaning or "see below")


def _terms(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in pairs:
        yield ".TP"
        yield _guarded(f"\\fB{_text(term, code=True)}\\fR")
        yield from _filled(meaning or "see above")


def _paragraph(text: str) -> Iterator[str]:
    yield ".PP"
    yield from _filled(text)


def _plain(text: str) -> Iterator[str]:
    """Write text as `--help` prints it: indented lines stand as they are."""
    for part in text.split("\n\n"):
        lines = part.splitlines()
        prose = [line for line in lines if not line.startswith("  ")]
        if prose:
            yield from _paragraph(" ".join(prose).replace("`", "\\`"))
        if len(prose) < len(lines):
            yield from _code([line for line in lines if line.startswith("  ")])


def _code(lines: Iterable[str]) -> Iterator[str]:
    yield ".PP"
    yield ".RS 4"
    yield ".nf"
    yield from (_guarded(_text(line, code=True)) for line in textwrap.dedent("\n".join(lines)).splitlines())
    yield ".fi"
    yield ".RE"


def _filled(text: str) -> Iterator[str]:
    # Wrapped before anything is marked, so that a mark never breaks.
    marked = _inline(text).replace("\\ ", "\0")
    for line in textwrap.wrap(marked, 78, break_long_words=False, break_on_hyphens=False):
        yield _guarded(line.replace("\0", "\\ "))


def _inline(text: str) -> str:
    out, end = "", 0
    for match in _INLINE.finditer(text):
        code, strong, link, address = match.groups()
        out += _text(text[end : match.start()])
        if code or strong:
            out += f"\\fB{_text(code or strong, code=bool(code))}\\fR"
        else:
            out += _inline(link) + (f" <{_text(address)}>" if address.startswith("http") else "")
        end = match.end()
    return out + _text(text[end:])


def _text(text: str, *, code: bool = False) -> str:
    glyphs = {**_GLYPHS, "-": "\\-"} if code else _GLYPHS
    return "".join(glyphs.get(c, c if c.isascii() else f"\\[u{ord(c):04X}]") for c in text)


def _bare(text: str) -> str:
    return text.replace("`", "")


def _quoted(text: str) -> str:
    return '"' + _text(text).replace('"', "\\(dq") + '"'


def _guarded(line: str) -> str:
    """Keep a line of text from being taken for a request."""
    return f"\\&{line}" if line[:1] in {".", "'"} else line


def _tidy(lines: Iterable[str]) -> Iterator[str]:
    """Leave out a paragraph right after a heading, where it means nothing."""
    before = ""
    for line in lines:
        if not (line == ".PP" and before.startswith((".SH", ".SS", ".RS", ".PP"))):
            yield line
        before = line


def main() -> int:
    """Write the pages, or with --check only say whether they are as they should be."""
    made = pages()
    if sys.argv[1:] == ["--check"]:
        is_right = all(path.is_file() and path.read_text(encoding="utf-8") == made[path] for path in made)
        print(
            "The manual pages are up to date."
            if is_right
            else "Run scripts/gen_man.py: its sources have changed."
        )
        return 0 if is_right else 1
    for path, page in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
