"""What `status` and `list` look like: pure functions from what `Describe` says to lines of text.

Colour only repeats what a word or a mark says already. Widths count in terminal cells.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category, east_asian_width

from pwmixer_dbus.cli import printable
from pwmixer_dbus.cli.change import percent
from pwmixer_dbus.cli.template import Record

Document = dict[str, Any]

ABSENT = "The sound server is not there at the moment; this is what was known last."
NOTHING = {
    "apps": "No application plays or records.",
    "groups": "There is no group; rules put streams into groups.",
    "streams": "Nothing plays or records.",
    "sinks": "There is no output device.",
    "sources": "There is no input device.",
    "cards": "There is no card.",
}
"""What is said in place of an empty list."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_CODES = {"heading": "1", "good": "32", "loud": "31", "muted": "33", "dim": "2"}
_NARROW = 72
_LONGEST_NAME = 40
_SHORTEST_NAME = 12
_SHORTEST_TEXT = 20  # of words that are broken between them
_SHORTEST_NOTE = 7
_SHORTEST_BAR = 4
_WHOLE = "\0"  # a blank between whose sides no line is broken
_LOUD = 1.0005
_PERCENT = 4  # cells, as in 150%


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What the output can show: its width in cells, whether colours, whether more than ASCII."""

    width: int = 80
    color: bool = False
    unicode: bool = True

    def paint(self, text: str, style: str) -> str:
        """Colour text, where there are colours."""
        return f"\033[{_CODES[style]}m{text}\033[0m" if self.color and style and text.strip() else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line with a bar. `mark` is set for a default device; `notes` are words such as muted."""

    name: str
    volume: float | None
    muted: bool = False
    notes: tuple[str, ...] = ()
    selector: str = ""
    depth: int = 0
    mark: bool = False
    idle: bool = False


def status(document: Document, terminal: Terminal, *, everything: bool = False) -> str:
    """Draw the whole state: outputs, inputs, applications with their streams; with `everything` what lists leave out."""
    sources = [source for source in document["sources"] if everything or not source["monitor"]]
    limit = document["settings"]["max_volume"]
    sections = (
        ("Outputs", [_device_row(sink, limit) for sink in document["sinks"]], NOTHING["sinks"]),
        ("Inputs", [_device_row(source, limit) for source in sources], NOTHING["sources"]),
        ("Applications", list(_app_rows(document, everything=everything)), NOTHING["apps"]),
    )
    rows = [row for _, rows, _ in sections for row in rows]
    layout = _Layout.fit(rows, terminal)
    lines = [sentence(_server_line(document), terminal)]
    for title, section, nothing in sections:
        lines += ["", terminal.paint(title, "heading")]
        lines += [layout.draw(row) for row in section] or [f"  {nothing}"]
    return "\n".join(lines)


def table(
    rows: Sequence[Sequence[str]],
    terminal: Terminal | None = None,
    *,
    heads: Sequence[str] = (),
    is_whole: bool = False,
) -> str:
    """Align rows of cells into columns under their heads, two cells apart.

    To keep within a terminal, the widest columns are cut but for the first one, which is to be typed or copied; where all is
    wanted whole, the last one is broken between words. Where that is not enough, each row takes several lines: its first two
    cells, and below them each of the others; without heads.
    """
    lines = [heads, *rows] if heads else rows
    widths = [max(cells(cell) for cell in column) for column in zip(*lines, strict=True)]
    over = 0 if terminal is None else sum(widths) + 2 * (len(widths) - 1) - terminal.width
    if terminal is None or over <= 0:
        return _aligned(lines, widths)
    if is_whole and widths[-1] - over >= _SHORTEST_TEXT:
        margin = " " * (sum(widths[:-1]) + 2 * (len(widths) - 1))
        return "\n".join(
            wrapped(line, terminal.width, margin) for line in _aligned(lines, widths).split("\n")
        )
    while not is_whole and over > 0 and (widest := max(widths[1:])) > _SHORTEST_NAME:
        widths[widths.index(widest, 1)] -= 1
        over -= 1
    if over > 0:
        return "\n".join(_below_each_other(row, terminal.width) for row in rows)
    cut = [
        [shorten(c, w, unicode=terminal.unicode) for c, w in zip(line, widths, strict=True)] for line in lines
    ]
    return _aligned(cut, widths)


def _aligned(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    return "\n".join(
        "  ".join(pad(c, w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _below_each_other(row: Sequence[str], width: int) -> str:
    margin = " " * (len(row[0]) - len(row[0].lstrip()) + 2)
    parts = [f"{row[0].replace(' ', _WHOLE)}  {row[1]}", *(margin + cell for cell in row[2:] if cell)]
    return "\n".join(wrapped(part, width, margin) for part in parts).replace(_WHOLE, " ")


def sentence(text: str, terminal: Terminal | None, margin: str = "") -> str:
    """Write what may be anybody's words so that a terminal can show them, broken as `wrapped` does."""
    return printable(text) if terminal is None else wrapped(printable(text), terminal.width, margin)


def wrapped(text: str, width: int, margin: str = "") -> str:
    """Break text between words into lines of at most `width` cells, all but the first behind a margin.

    A word alone may be longer: what is to be typed or copied stays whole, and takes of the margin what it needs.
    """
    lines: list[str] = []
    line, *words = text.split(" ")
    for word in words:
        if is_full := bool(line.strip()) and cells(f"{line} {word}") > width:
            lines.append(line.rstrip())
        if is_full or (lines and not line.strip()):
            line = margin[: max(width - cells(word), 0)] + word
        else:
            line += f" {word}"
    return "\n".join([*lines, line])


def bar(volume: float, width: int, *, unicode: bool) -> str:
    """Draw a volume over `width` cells, a full bar being 100 % or more."""
    share = min(max(volume, 0.0), 1.0) * width
    if not unicode:
        return "#" * round(share) + "-" * (width - round(share))
    eighths = round(share * 8)
    full, part = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[part] if part else "")
    return drawn + "·" * (width - len(drawn))


def cells(text: str) -> int:
    """Count the terminal cells that text takes: wide characters are two, combining ones none.

    Joined emoji count as their parts: many terminals draw them so, and in the others nothing runs over.
    """
    return len(text) if text.isascii() else sum(_cell(c) for c in text)


def shorten(text: str, width: int, *, unicode: bool = True) -> str:
    """Cut text to at most `width` cells, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    ellipsis = "…" if unicode else "..."
    kept, used = "", len(ellipsis)
    for character in text:
        used += _cell(character)
        if used > width:
            break
        kept += character
    return kept.rstrip() + ellipsis


def pad(text: str, width: int) -> str:
    """Fill text up to `width` cells."""
    return text + " " * (width - cells(text))


def _cell(character: str) -> int:
    if category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(character) in {"W", "F"} else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How the columns share the width: mark, name, bar, percent, notes, and the selector where there is room."""

    terminal: Terminal
    name: int
    bar: int
    notes: int
    selector: int

    @classmethod
    def fit(cls, rows: Sequence[Row], terminal: Terminal) -> "_Layout":
        """Give the bar what is wide enough to read, the selector what is left, and cut names before either.

        Where that is too much, the bar goes before what notes say, and those before names.
        """
        longest = max((cells(row.name) + 2 * row.depth for row in rows), default=0)
        shortest = min(longest, _SHORTEST_NAME)
        notes = max((cells(", ".join(row.notes)) for row in rows), default=0)
        least = min(notes, _SHORTEST_NOTE)
        room = terminal.width - 2 - 2 - _PERCENT
        bar_width = min(
            10 if terminal.width < _NARROW else 20, room - 1 - shortest - (least + 2 if notes else 0)
        )
        bar_width = bar_width if bar_width >= _SHORTEST_BAR else 0
        room -= bar_width + 1 if bar_width else 0
        notes = min(notes, room - 2 - shortest)
        notes = notes if notes >= least else 0
        room -= notes + 2 if notes else 0
        selector = max((cells(row.selector) + 2 for row in rows), default=0)
        fits = terminal.width >= _NARROW and room - selector >= min(longest, _SHORTEST_NAME * 2)
        selector = selector if fits else 0
        name = max(min(longest, room - selector, _LONGEST_NAME), _SHORTEST_NAME)
        return cls(terminal=terminal, name=name, bar=bar_width, notes=notes, selector=selector)

    def draw(self, row: Row) -> str:
        """Write one row."""
        paint, unicode = self.terminal.paint, self.terminal.unicode
        mark = ("●" if unicode else "*") if row.mark else " "
        indent = "  " * row.depth
        name = pad(indent + shorten(row.name, self.name - len(indent), unicode=unicode), self.name)
        drawn, level = " " * self.bar, " " * _PERCENT
        if row.volume is not None:
            drawn = paint(bar(row.volume, self.bar, unicode=unicode), _style(row))
            level = f"{percent(row.volume):>{_PERCENT}}"
        notes = paint(pad(self._said(row.notes), self.notes), "muted" if row.muted else "dim")
        line = (
            f"{mark} {paint(name, 'dim' if row.idle else '')}  {drawn}{' ' * bool(self.bar)}{level}  {notes}"
        )
        return (f"{line}  {paint(row.selector, 'dim')}" if self.selector else line).rstrip()

    def _said(self, notes: tuple[str, ...]) -> str:
        """Join the notes that fit, and what of the next one is worth reading."""
        worth = self.notes - 2 - _SHORTEST_NOTE
        while (
            len(notes) > 1 and cells(", ".join(notes)) > self.notes and cells(", ".join(notes[:-1])) > worth
        ):
            notes = notes[:-1]
        return shorten(", ".join(notes), self.notes, unicode=self.terminal.unicode) if self.notes else ""


def _style(row: Row) -> str:
    if row.muted or row.idle:
        return "muted" if row.muted else "dim"
    return "loud" if (row.volume or 0.0) > _LOUD else "good"


def _server_line(document: Document) -> str:
    if not document["connected"]:
        return ABSENT
    server = document["server"]
    return f"Connected to {server['name']} {server['version']}".rstrip()


def _device_row(device: Record, limit: float) -> Row:
    port = next(
        (p["description"] or p["name"] for p in device["ports"] if p["name"] == device["active_port"]), ""
    )
    return Row(
        name=printable(device["description"] or device["name"]),
        volume=device["volume"],
        muted=device["muted"],
        notes=_notes(
            {
                "muted": device["muted"],
                **_held(device, limit),
                "default": device["default"],  # where all does not fit, its mark says so
                printable(port): bool(port),
            }
        ),
        selector=printable(device["selector"]),
        mark=device["default"],
    )


def _app_rows(document: Document, *, everything: bool) -> Iterator[Row]:
    streams = {s["number"]: s for s in document["streams"] if everything or not s["hidden"]}
    devices = {d["name"]: d for d in (*document["sinks"], *document["sources"])}
    defaults = set(document["defaults"].values())
    for app in document["apps"]:
        if app["hidden"] and not everything:
            continue
        played = [streams[number] for number in app["streams"] if number in streams]
        # The cap of a device is told there alone.
        limits = [devices[s["device"]]["max_volume"] for s in played if s["device"]]
        allowed = max(limits, default=document["settings"]["max_volume"])
        yield Row(
            name=printable(app["name"] or app["app_id"]),
            volume=app["volume"],
            muted=app["muted"],
            notes=_notes({"muted": app["muted"], **_held(app, allowed), "not playing": not app["streams"]}),
            selector=printable(app["selector"]),
            idle=not app["streams"],
        )
        for stream in played:
            device = devices[stream["device"]] if stream["device"] else None
            where = device and f"on {shorten(printable(device['description'] or device['name']), 20)}"
            yield Row(
                name=printable(stream["media_name"]) or "(no title)",
                volume=stream["volume"],
                muted=stream["muted"],
                notes=_notes(
                    {
                        "muted": stream["muted"],
                        "paused": stream["corked"],
                        "records": stream["kind"] == "capture",
                        where or "no device": stream["device"] not in defaults or device is None,
                    }
                ),
                selector=printable(stream["selector"]),
                depth=1,
            )


def _held(record: Record, allowed: float) -> dict[str, bool]:
    limit = record["max_volume"]
    return {"locked": record["locked"], f"cap {percent(limit)}": limit < allowed}


def _notes(words: dict[str, bool]) -> tuple[str, ...]:
    return tuple(word for word, holds in words.items() if holds)
