#!/usr/bin/env python3
"""The apt source of the distribution's backports, derived from the sources that this machine already has.

Mirror, signing key, components and options are the machine's own: nothing about any host is known here.
Runs on the system's bare python3, before there is a virtual environment.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# The one-line format's options that have another name in deb822; the rest differ in case only, which apt ignores.
LONG_NAMES = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One stanza of a *.sources file, or one line of a *.list file; options as the deb822 format has them."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def parse_sources(text: str) -> Iterator[Source]:
    """Read deb822 text; stanzas that are disabled or offer no binary packages are left out."""
    for stanza in "\n".join(line for line in text.splitlines() if not line.startswith("#")).split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if name and line[:1].isspace():  # a continuation, such as a signing key in full
                fields[name] += f"\n{line}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().title()
                fields[name] = value.strip()
        if "deb" in fields.pop("Types", "").split() and fields.pop("Enabled", "yes").lower() not in {
            "no",
            "false",
        }:
            yield Source(
                uris=tuple(fields.pop("Uris", "").split()),
                suites=tuple(fields.pop("Suites", "").split()),
                components=tuple(fields.pop("Components", "").split()),
                options=tuple(fields.items()),
            )


def parse_list(text: str) -> Iterator[Source]:
    """Read classic lines `deb [option=value ...] URI SUITE COMPONENT...`."""
    for line in text.splitlines():
        entry = " ".join(line.partition("#")[0].split())
        kind, _, rest = entry.partition(" ")
        options = ""
        if rest.startswith("["):
            options, _, rest = rest[1:].partition("]")
        if kind == "deb" and len(words := rest.split()) > 1:
            pairs = (word.partition("=") for word in options.split())
            yield Source(
                uris=(words[0],),
                suites=(words[1],),
                components=tuple(words[2:]),
                options=tuple(
                    (LONG_NAMES.get(key, key.title()), value.replace(",", " ")) for key, _, value in pairs
                ),
            )


def derive(sources: Iterable[Source], *, own: set[tuple[str, str]], codename: str) -> str | None:
    """Return the deb822 stanza to add; None where the suite is offered already; LookupError without a base source.

    own: (URI, suite) of the sources whose signed release file says that they are the distribution's itself.
    A third party's source may have the same suite and components, so its text alone does not tell.
    """
    backports = f"{codename}-backports"
    bare = {(uri.rstrip("/"), suite) for uri, suite in own}
    base: Source | None = None
    for source in sources:
        mine = [
            (uri, suite) for uri in source.uris for suite in source.suites if (uri.rstrip("/"), suite) in bare
        ]
        if any(suite == backports for _, suite in mine):
            return None
        # Of all the distribution's suites only the base one is sure to share its mirror with the backports.
        if base is None and any(suite in {codename, "stable", "oldstable"} for _, suite in mine):
            base = Source(
                uris=tuple(dict.fromkeys(uri for uri, _ in mine)),
                suites=(backports,),
                components=source.components,
                options=source.options,
            )
    if base is None:
        raise LookupError(f"apt has no source of its own distribution for {codename}")
    lines = [
        "Types: deb",
        f"URIs: {' '.join(base.uris)}",
        f"Suites: {backports}",
        f"Components: {' '.join(base.components)}",
        *(f"{name}: {value}" if value[:1] != "\n" else f"{name}:{value}" for name, value in base.options),
    ]
    return "\n".join(lines) + "\n"


def _distribution_of(codename: str) -> set[tuple[str, str]]:
    """Ask apt which of its downloaded sources the distribution signed as its own for this release."""
    form = "$(REPO_URI)\t$(RELEASE)\t$(ORIGIN)\t$(CODENAME)"
    argv = ("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    rows = (line.split("\t") for line in told.splitlines())
    # "Debian", "Debian Backports": the one word that a third party would not put into its release file.
    return {
        (uri, suite)
        for uri, suite, origin, name in rows
        if origin.split(" ")[0] == "Debian" and name in {codename, f"{codename}-backports"}
    }


def main() -> int:
    """Print the stanza for the codename given, or nothing if there is no need for one."""
    codename = sys.argv[1]
    folder = Path("/etc/apt")
    sources = [
        source
        for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*")))
        if path.is_file()
        for source in {".list": parse_list, ".sources": parse_sources}.get(path.suffix, lambda _: iter(()))(
            path.read_text()
        )
    ]
    try:
        print(derive(sources, own=_distribution_of(codename), codename=codename) or "", end="")
    except LookupError as error:
        print(f"backports.py: {error.args[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
