"""Which application a stream belongs to, and the evidence for it. Pure: it sees records and tables, nothing else.

Evidence is tried strongest first and the first piece that names an application wins; a piece that many applications
share is generic and names nobody. An id never comes from `media.name`, a title, an index or a pid, so it is the same
after a restart, after an update and from whichever menu, terminal or autostart the program was launched.

    tag:music               `pwmixer.app` on the stream or client, or a bare word in the user's alias table
    flatpak:com.spotify.Client, snap:spotify      the sandbox, as the server or systemd vouches for it
    steam:1091500           the game that the process runs in
    id:org.videolan.VLC     `application.id` in reverse-DNS form; its letters' case is kept
    bin:vesktop             `application.process.binary`, a plain `application.id`, or the script of an interpreter
    name:my-sdl-game        `application.name`
    node:my-synth           `node.name`
    stream:playback-17      unknown; never shared by two streams

The same program as a Flatpak, as a snap and from the distribution has three ids on purpose: they are installed side by
side, and only a sandbox's id is proven. An alias joins them. After the colon an id is case-folded (except `flatpak:` and
`id:`), and whitespace, quotes, globs and other punctuation have become "-", so that a selector needs no quoting.

What a desktop launched (a systemd unit such as app-gnome-obsidian-1.scope) is asked only after the program's own
properties: it is missing in a terminal, and the same program must not be two applications. What stays impossible: an
Electron application that runs the system's electron inside a sandbox that hides its process, and a program that a Steam
game started and that inherited the game's environment.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from pwmixer_dbus.core.model import (
    NO_PROPERTIES,
    TEXT_LIMIT,
    Client,
    Identity,
    Process,
    Properties,
    Stream,
    clean,
)
from pwmixer_dbus.core.records import dataclass

ID_LIMIT: Final = 128
NAME_LIMIT: Final = 128
SHORT_WORD: Final = 4  # a shorter word begins too many others to prove anything
COMM_LIMIT: Final = 15  # the kernel cuts /proc/PID/comm here

# Access values that say: this client's pid counts in another namespace.
SANDBOXES: Final = frozenset({"flatpak", "snap", "portal"})

# Programs that run other programs: two streams of one of these need not be one application.
GENERIC_BINARIES: Final = frozenset({
    "electron", "nw", "cef", "cefsimple",  # browsers in a box: the application is their data
    "java", "javaw", "node", "nodejs", "bun", "deno", "mono", "mono-sgen", "dotnet", "gjs", "gjs-console", "love",
    "plugin-container", "web content", "isolated web co", "qtwebengineprocess", "webkitwebprocess",
    "webkitgtkwebprocess",  # child processes of a browser or of a web view
    "bwrap", "flatpak", "flatpak-spawn", "snap", "snap-confine", "firejail", "pressure-vessel-wrap", "reaper",
    "pv-adverb", "gamescope", "gamemoderun", "umu-run", "proton",  # sandboxes and game wrappers
    "sh", "bash", "dash", "zsh", "fish", "env", "sudo", "nohup", "timeout", "systemd", "init",  # shells, prefixes, parents
    "pipewire", "pipewire-pulse", "pipewire-media-session", "wireplumber", "pulseaudio",  # hosts of modules
    "box64", "box86", "fexinterpreter", "fex", "rosetta",  # emulators of another processor
    "a.out", "app", "main", "apprun",  # names that say nothing
})  # fmt: skip
GENERIC_BINARY: Final = re.compile(
    r"electron\d*|(?:python|pypy|ruby|perl|lua|luajit|php)[\d.]*"  # interpreters with their version
    r"|ld(?:-linux)?[-.\w]*\.so[.\d]*"  # programs started through the dynamic linker
    r"|qemu-[\w-]+"  # user-mode emulation
    r"|[\d\W_]+"  # no letter at all
    r"|wine(?:64|32)?(?:-(?:preloader|development|staging|stable|loader))*(?:64)?"
)
WINE: Final = re.compile(r"wine[\w-]*")

# Tools that play for somebody else. Their binary counts only while `application.name` is one of their own names.
TOOLS: Final[Mapping[str, frozenset[str]]] = {
    "pacat": frozenset({"pacat", "paplay", "parec", "parecord", "pamon"}),
    "pw-cat": frozenset({
        "pw-cat", "pw-play", "pw-record", "pw-midiplay", "pw-midirecord", "pw-dsdplay", "pw-encplay",
    }),
    "aplay": frozenset({"aplay", "arecord"}),
    "sox": frozenset({"sox", "play", "rec"}),
    "ffmpeg": frozenset({"ffmpeg"}),
    "ffplay": frozenset({"ffplay"}),
    "gst-launch-1.0": frozenset({"gst-launch-1.0"}),
    "gst-play-1.0": frozenset({"gst-play-1.0"}),
    "canberra-gtk-play": frozenset({"canberra-gtk-play"}),
}  # fmt: skip
TOOL_NAMES: Final = frozenset().union(*TOOLS.values())

# Binaries that are known under the name of the program that they belong to.
BINARY_TRANSLATIONS: Final[Mapping[str, str]] = {"steamwebhelper": "steam"}

# Names that a library, an engine or a browser puts in when the application said nothing.
GENERIC_NAMES: Final = frozenset({
    "webrtc voiceengine", "cubeb", "miniaudio", "portaudio", "rtaudio", "openal soft", "fmod ex app", "fmod",
    "sdl application", "sdl audio", "simple directmedia layer", "libcanberra", "gstreamer", "libao", "phonon",
    "audio-src", "audio-sink", "audio", "audiostream", "audio stream", "output", "input", "stream", "default",
    "unknown", "(null)", "null", "none", "application", "client", "my application", "webkit", "web content",
    "wine", "wine input", "alsa plug-in", "pipewire alsa", "pipewire", "pulseaudio", "pulse", "jack", "alsa",
})  # fmt: skip
GENERIC_NAME: Final = re.compile(
    r"chromium.*|(?:google )?chrome input"  # every Electron application, and a browser's microphone
    r"|lav[cf][\d.]+|libav\w* ?[\d.]*"  # FFmpeg's libraries
    r"|(?:audio ?)?stream ?#?\d+|audiostream\d*"
    r"|(?:alsa|jack|pulse|audio|pipewire)?[ _-]?(?:playback|capture|record|recording)(?:[ _-]stream)?\d*"
    r"|qtpulseaudio:\d+|pid\W?\d+"
    r"|.*-\d+-\d+"  # a module's node: its name ends in pid and number
    r"|[\d\W_]+"
)
NAME_TRANSLATIONS: Final[Mapping[str, str]] = {"zoom voiceengine": "zoom"}
WRAPPED_NAME: Final = re.compile(
    r"(?:alsa plug-in|pipewire alsa) \[(.*)\]|alsa_(?:playback|capture)\.(.+)", re.IGNORECASE
)
VERSION_IN_NAME: Final = re.compile(r"\s+(?:\([^()]*\d[^()]*\)|v?\d+(?:\.\d+)+)$")

# What packaging and the kernel hang on to a binary's name.
BINARY_SUFFIX: Final = re.compile(r"(?: \(deleted\)|\.exe|\.bin|-bin|\.x86_64|\.x86|\.x64)+$", re.IGNORECASE)
# No word of it may hold a separator: matching stays linear on hostile names.
APPIMAGE: Final = re.compile(
    r"(?:[-_. ](?:v?\d[a-z\d+]*|x86[-_]64|amd64|x64|aarch64|arm64|i[36]86|linux|appimage|alpha|beta|rc\d*|stable|latest))*"
    r"\.appimage$",
    re.IGNORECASE,
)
SCRIPT_SUFFIX: Final = re.compile(
    r"\.(?:pyw?|pyc|pyz|jar|m?js|cjs|rb|pl|lua|sh|asar|love|php)$", re.IGNORECASE
)
GENERIC_SCRIPTS: Final = frozenset({
    "__main__", "index", "run", "start", "launch", "bundle", "cli", "server", "client", "manage", "resources",
})  # fmt: skip

# Icons that stand for a kind of thing, or for the browser inside an application.
GENERIC_ICON: Final = re.compile(
    r"(?:chromium|chrome|google-chrome|electron|web)(?:-browser)?|(?:audio|multimedia|applications|media|video|utilities)-.*"
    r"|application-(?:default|x)-.*|unknown|image-missing|python[\d.]*|java|wine"
)

# Applications that start others in their own unit: terminals, editors with a terminal, launchers, shells of desktops.
LAUNCHERS: Final = frozenset({
    "terminal", "gnome-terminal", "gnome-terminal-server", "console", "kgx", "ptyxis", "konsole", "yakuake", "kitty",
    "alacritty", "foot", "footclient", "wezterm", "ghostty", "tilix", "terminator", "xterm", "uxterm", "urxvt", "st",
    "xfce4-terminal", "lxterminal", "qterminal", "mate-terminal", "guake", "tilda", "terminology", "blackbox", "rio",
    "contour", "warp", "hyper", "tabby", "deepin-terminal", "tmux", "screen", "bash", "zsh", "fish", "sh",
    "code", "code-oss", "codium", "vscodium", "cursor", "zed", "emacs", "sublime_text", "builder", "kate",
    "idea", "pycharm", "webstorm", "clion", "goland",
    "steam", "lutris", "heroic", "bottles", "itch", "playonlinux", "gamehub", "cartridges", "hgl", "faugus-launcher",
    "nautilus", "dolphin", "nemo", "thunar", "pcmanfm", "pcmanfm-qt", "krunner", "rofi", "wofi", "fuzzel",
    "ulauncher", "albert", "plasmashell", "gnome-shell", "sway", "hyprland", "niri",
})  # fmt: skip
# Sandboxes that hold the programs of others: every game of Steam's Flatpak has Steam's id.
HOSTS: Final = frozenset({
    "com.valvesoftware.steam", "net.lutris.lutris", "com.heroicgameslauncher.hgl", "com.usebottles.bottles",
    "org.winehq.wine", "io.itch.itch", "page.kramo.cartridges", "io.github.faugus.faugus-launcher", "steam",
})  # fmt: skip
STEAM_UNIT: Final = re.compile(r"app-steam-app(\d+)\b")
SNAP_UNIT: Final = re.compile(r"snap\.([^.]+)\.")
PROVING_UNITS: Final = ("app-steam-app", "snap.", "app-flatpak-")
UNIT_ESCAPE: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")

# Last words of a reverse-DNS id that say what it is, and the word before them who.
EMPTY_WORDS: Final = frozenset({"client", "desktop", "app", "application", "player", "browser", "launcher"})

NOT_IN_IDS: Final = re.compile(
    "[\\x00-*,/:-@\\[-^`{-\\x7f\\s\\u00ad\\u180e\\u200b-\\u200f\\u2028-\\u202f\\u2060-\\u206f\\ufeff]+"
)
REVERSE_DNS: Final = re.compile(r"[A-Za-z][\w-]*(?:\.[A-Za-z_][\w-]*)+")
PREFIXES: Final = frozenset({"tag", "flatpak", "snap", "steam", "id", "bin", "name", "node"})
CASED_PREFIXES: Final = frozenset({"flatpak", "id"})

USED: Final = "used"
WEAKER: Final = "weaker"
GENERIC: Final = "generic"
NOTHING_LEFT: Final = "says nothing"
ONLY_NAMES: Final = "names it, but never identifies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One fact that is looked at while a stream's application is sought: where it stands, what it says, its fate."""

    source: str
    value: str
    verdict: str


class _Fact(NamedTuple):
    """One piece of evidence: the id that it would give, or why it gives none."""

    source: str
    value: str
    app_id: str
    refusal: str = NOTHING_LEFT


class _Said(NamedTuple):
    """A property that was found, and what is left of it once decoration and generic words are gone."""

    source: str
    value: str
    word: str


class _View(NamedTuple):
    """Everything that is known of one stream, read once."""

    stream: Properties
    client: Properties
    names: tuple[_Said, ...]
    binaries: tuple[_Said, ...]
    process: Process | None


def identify(stream: Stream, client: Client | None, aliases: Mapping[str, str] = NO_PROPERTIES) -> Identity:
    """Say which application a stream belongs to. Never raises; the same records give the same answer.

    `client` is the record of `stream.client`, if it is known: up to PipeWire 1.6 a native stream carries none of its
    client's properties. A property counts on the stream first, then on the client; only the sandbox's id counts on the
    client first, where the server writes it. Records carry a `process` only if it is of this machine.

    `aliases` is the user's: from an app id as this function gives it without aliases, to the app id that is wanted
    instead, such as {"flatpak:com.discordapp.Discord": "bin:discord"}. A value that is no app id is a name of the user's
    own: {"bin:mpv": "Music"} gives `tag:music`, shown as "Music". Aliases do not chain, and an unknown stream has none.
    """
    view = _look(stream, client)
    used = _strongest(_facts(view))
    if used is None:
        return _unknown(stream, view)
    wanted, alias = _renamed(used, aliases)
    app_id = alias or used.app_id
    own_name = wanted if alias.startswith("tag:") else used.value if app_id.startswith("tag:") else ""
    return Identity(
        app_id=app_id,
        name=(own_name.removeprefix("tag:").strip() or _display_name(view, app_id))[:NAME_LIMIT],
        icon_name=_icon_name(view, app_id),
    )


def evidence_for(
    stream: Stream, client: Client | None, aliases: Mapping[str, str] = NO_PROPERTIES
) -> tuple[Evidence, ...]:
    """List every fact that counts for or against what `identify` says of the same records, strongest first.

    Where a client has gone before its stream, what it had said is lost; the list then begins with the fact that it had
    decided.
    """
    view = _look(stream, client)
    facts = tuple(_facts(view, every=True))
    if is_of_the_past(stream, client, aliases):
        said = Evidence(source="client, which has gone since", value=stream.identity.app_id, verdict=USED)
        others = (
            Evidence(source=f.source, value=f.value, verdict=WEAKER if f.app_id else f.refusal) for f in facts
        )
        return (said, *others)
    used = _strongest(facts)
    if used is None:
        title = _title(view)
        refused = [Evidence(source=f.source, value=f.value, verdict=f.refusal) for f in facts]
        named = Evidence(source=title.source, value=title.value, verdict=ONLY_NAMES) if title else None
        return (*refused, named) if named else tuple(refused)
    wanted, alias = _renamed(used, aliases)
    evidence = tuple(
        Evidence(source=fact.source, value=fact.value, verdict=_verdict(fact, used, alias)) for fact in facts
    )
    return (Evidence(source="alias", value=wanted, verdict=USED), *evidence) if alias else evidence


def is_of_the_past(stream: Stream, client: Client | None, aliases: Mapping[str, str]) -> bool:
    """Whether a stream has its application from the words of a client that has gone since."""
    if client is not None or stream.client is None or not stream.identity.app_id:
        return False
    return identify(stream, client, aliases).app_id != stream.identity.app_id


def _strongest(facts: Iterable[_Fact]) -> _Fact | None:
    """Return the first fact that names an application; those after it are not looked for."""
    for fact in facts:
        if fact.app_id:
            return fact
    return None


def _renamed(used: _Fact, aliases: Mapping[str, str]) -> tuple[str, str]:
    """Return what the user calls an application instead, as it was written and as an id; "" for nothing else."""
    wanted = aliases.get(used.app_id, "")
    return wanted, _alias_id(wanted) if wanted else ""


def is_sandboxed(properties: Properties) -> bool:
    """Whether a property list belongs to a client whose process id counts in another namespace than ours."""
    return bool(
        properties.get("pipewire.access.portal.app_id")
        or properties.get("pipewire.snap.id")
        or properties.get("pipewire.sec.flatpak", "false") == "true"
        or properties.get("pipewire.access") in SANDBOXES
        or properties.get("pipewire.client.access") in SANDBOXES
    )


def _look(stream: Stream, client: Client | None) -> _View:
    ours = stream.properties
    theirs = client.properties if client else NO_PROPERTIES
    process = stream.process or (client.process if client else None)
    names = _said(ours, theirs, "application.name", _name_word)
    if not names and client and client.name:
        names = (_Said("client name", client.name, _name_word(client.name)),)
    binaries = _said(ours, theirs, "application.process.binary", _program)
    return _View(ours, theirs, names, binaries, process)


def _said(
    ours: Properties, theirs: Properties, key: str, reduce: Callable[[str], str] = str
) -> tuple[_Said, ...]:
    """Read one property of both layers, the stream's first; the client's only if it says something else."""
    first, second = ours.get(key), theirs.get(key)
    said = (_Said(f"stream {key}", first, reduce(first)),) if first else ()
    if not second or second == first:
        return said
    return (*said, _Said(f"client {key}", second, reduce(second)))


def _distrust(view: _View, process: Process) -> str:
    """Say why this process must not be taken for the stream's own; "" if it may."""
    if is_sandboxed(view.stream) or is_sandboxed(view.client):
        return "not trusted: sandboxed"
    if not view.binaries:
        vouched = view.client.get("pipewire.sec.pid") == str(process.pid)
        return "" if vouched else "not trusted: no binary to compare it with"
    return "" if _agrees(process, view.binaries[0].value) else f"not trusted: comm says {process.comm}"


def _agrees(process: Process, binary: str) -> bool:
    """Whether a process is this binary: by comm, which is cut and which threads rename, or by its first argument."""
    exact = binary.rpartition("/")[2][:COMM_LIMIT]
    if exact and process.comm == exact:  # as nearly always
        return True
    expected = _stem(binary)
    said = [text for text in (process.comm, *process.command[:1]) if text]
    if WINE.fullmatch(expected):  # Wine names the process after the Windows program
        return any(WINE.match(_stem(text)) or ".exe" in text.casefold() for text in said)
    own = TOOLS.get(expected, frozenset())
    return any(
        text[:COMM_LIMIT] == exact
        or _stem(text) in own
        or _family(_stem(text))[:COMM_LIMIT] == _family(expected)[:COMM_LIMIT]
        for text in said
    )


def _family(stem: str) -> str:
    return stem.rstrip("0123456789.") or stem


def _facts(view: _View, *, every: bool = False) -> Iterator[_Fact]:
    """Yield the pieces of evidence, strongest first; `every` one, or all that may name an application."""
    for source, value, _ in _said(view.stream, view.client, "pwmixer.app"):
        yield _Fact(source, value, _app_id("tag", value))
    yield from _sandboxes(view)
    if view.process and (every or view.process.steam_app or view.process.unit.startswith(PROVING_UNITS)):
        yield from _process_facts(view, view.process)
    for source, value, _ in _said(view.stream, view.client, "application.id"):
        yield _Fact(source, value, _desktop_app_id(value), GENERIC)
    yield from _binary_facts(view)
    for source, value, word in view.names:
        prefix = "bin" if word.casefold() in TOOL_NAMES else "name"
        yield _Fact(source, value, _app_id(prefix, word), GENERIC)
    yield from _command_facts(view)
    yield from _unit_facts(view)
    for source, value, _ in _said(view.stream, view.client, "application.icon_name"):
        is_generic = GENERIC_ICON.fullmatch(value.casefold()) or "/" in value
        yield _Fact(source, value, "" if is_generic else _desktop_app_id(value), GENERIC)
    for source, value, word in _said(view.stream, view.client, "node.name", _name_word):
        yield _Fact(source, value, _app_id("node", word), GENERIC)


def _sandboxes(view: _View) -> Iterator[_Fact]:
    for layer, properties in (("client", view.client), ("stream", view.stream)):
        if flatpak := properties.get("pipewire.access.portal.app_id"):
            source = f"{layer} pipewire.access.portal.app_id"
            yield _sandbox(view, source, flatpak, _app_id("flatpak", flatpak))
        if snap := properties.get("pipewire.snap.id"):
            yield _sandbox(view, f"{layer} pipewire.snap.id", snap, _app_id("snap", _snap_name(snap)))


def _sandbox(view: _View, source: str, value: str, app_id: str) -> _Fact:
    name = app_id.partition(":")[2]
    if name.casefold() in HOSTS and (words := _words(view)) and not _is_plausible(name, words):
        return _Fact(source, value, "", "generic: a sandbox that holds other programs")
    return _Fact(source, value, app_id)


def _snap_name(text: str) -> str:
    """Take the snap's name out of `snap.NAME.APP`, AppArmor's form, or out of the bare name."""
    return text.removeprefix("snap.").partition(".")[0]


def _process_facts(view: _View, process: Process) -> Iterator[_Fact]:
    """Yield what the process proves by itself: a Steam game, or a unit that only a sandbox's launcher makes."""
    distrust = _distrust(view, process)
    if distrust:
        yield _Fact("process comm", process.comm, "", distrust)
        return
    unit = process.unit
    if process.steam_app:
        yield _Fact("process SteamAppId", process.steam_app, _steam_app_id(process.steam_app))
    if steam := STEAM_UNIT.match(unit):
        yield _Fact("process unit", unit, _steam_app_id(steam[1]))
    elif snap := SNAP_UNIT.match(unit):
        words = _words(view)
        is_ours = _is_plausible(snap[1], words) if words else not _is_launcher(snap[1])
        yield _Fact(
            "process unit", unit, _app_id("snap", snap[1]) if is_ours else "", "another program's unit"
        )
    elif unit.startswith("app-flatpak-"):  # nothing outside the sandbox lives in it
        yield _Fact("process unit", unit, _app_id("flatpak", _unit_application(unit)))


def _steam_app_id(number: str) -> str:
    """Build the id of a Steam game; 0 is what Steam writes for a program that is none of its own."""
    is_game = number.isascii() and number.isdecimal() and number.strip("0")
    return _app_id("steam", number) if is_game else ""


def _is_plausible(application: str, words: frozenset[str]) -> bool:
    """Whether an application goes by one of these words: as its id, a part of it, or the beginning of its last part."""
    folded = application.casefold()
    last = folded.rpartition(".")[2]
    parts = {folded, *folded.split(".")} - EMPTY_WORDS
    is_prefix = any(
        word.startswith(last) or last.startswith(word) for word in words if len(word) >= SHORT_WORD
    )
    return not parts.isdisjoint(words) or (is_prefix and len(last) >= SHORT_WORD)


def _words(view: _View) -> frozenset[str]:
    """Every name that the stream and client have for themselves and that is not generic."""
    said = (*view.names, *view.binaries, *_said(view.stream, view.client, "application.id", _desktop_word))
    words = {one.word.casefold() for one in said if one.word}
    return frozenset(words | {word.rpartition(".")[2] for word in words})


def _desktop_word(desktop_id: str) -> str:
    return desktop_id if REVERSE_DNS.fullmatch(desktop_id) else _program(desktop_id)


def _is_launcher(application: str) -> bool:
    folded = application.casefold()
    return folded in LAUNCHERS or folded.rpartition(".")[2] in LAUNCHERS or folded.startswith("jetbrains-")


def _binary_facts(view: _View) -> Iterator[_Fact]:
    for source, value, word in view.binaries:
        own = TOOLS.get(word)
        said = "" if own is None else next((one.word for one in view.names if one.word), "")
        if own is None or not said:
            yield _Fact(source, value, _app_id("bin", word), GENERIC)
        elif said.casefold() in own:
            yield _Fact(source, value, _app_id("bin", said))
        else:
            yield _Fact(source, value, "", "generic: a tool that plays for others")


def _command_facts(view: _View) -> Iterator[_Fact]:
    """Yield what an interpreter, a runtime or Wine was told to run."""
    if view.process is None or _distrust(view, view.process):
        return
    for value in dict.fromkeys((*view.process.command[:2], view.process.comm)):
        if value:
            # What Wine's own streams are named by.
            prefix = "name" if value.casefold().endswith(".exe") else "bin"
            yield _Fact("process command", value, _app_id(prefix, _script(value)), GENERIC)


def _unit_facts(view: _View) -> Iterator[_Fact]:
    """Yield what the desktop launched. It names only what no property names.

    A program that says its own name would otherwise be one application from the menu and another from a terminal.
    """
    unit = view.process.unit if view.process and not _distrust(view, view.process) else ""
    application = _unit_application(unit)
    if not unit or STEAM_UNIT.match(unit) or SNAP_UNIT.match(unit) or unit.startswith("app-flatpak-"):
        return
    if not application:
        yield _Fact("process unit", unit, "", "no application's unit")
    elif (words := _words(view)) or _is_launcher(application):
        verdict = (
            "agrees, but is not there from a terminal"
            if _is_plausible(application, words)
            else "another program's unit"
        )
        yield _Fact("process unit", unit, "", verdict)
    else:
        yield _Fact("process unit", unit, _desktop_app_id(application), GENERIC)


def _unit_application(unit: str) -> str:
    """Take the application out of a unit's name; "" if it is no application's.

    app[-LAUNCHER]-APPLICATION-RANDOM.scope and app[-LAUNCHER]-APPLICATION[@RANDOM].service are systemd's "Desktop
    Environment Integration"; dbus-:NAME-APPLICATION@N.service is what a message bus starts.
    """
    stem, _, suffix = unit.rpartition(".")
    stem = stem.rpartition("-")[0] if suffix == "scope" else stem.partition("@")[0]
    kind, _, rest = stem.partition("-")
    if kind not in {"app", "dbus"}:
        return ""
    launcher, dash, application = rest.partition("-")
    return clean(UNIT_ESCAPE.sub(_unescape, application if dash else launcher))


def _unescape(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "replace")


def _unknown(stream: Stream, view: _View) -> Identity:
    """Stand alone: the server's index is in the id, so no two streams share it and nobody can alias it."""
    app_id = f"stream:{stream.kind}-{stream.index}"
    title = _title(view)
    said = (*view.names, *_said(view.stream, view.client, "media.name"), *view.binaries)
    name = title.value if title else next((one.value for one in said), "")
    return Identity(app_id=app_id, name=name[:NAME_LIMIT] or "Unknown", icon_name=_icon_name(view, app_id))


def _title(view: _View) -> _Said | None:
    """Find what a person may know a stream by whose application is unknown."""
    said = _said(view.stream, view.client, "media.name", _name_word)
    return next((one for one in said if one.word), None)


def _verdict(fact: _Fact, used: _Fact, alias: str) -> str:
    if fact is used:
        return f"used, then renamed to {alias}" if alias else USED
    return WEAKER if fact.app_id else fact.refusal


def _alias_id(wanted: str) -> str:
    prefix, colon, rest = wanted.partition(":")
    return _app_id(prefix, rest) if colon and prefix in PREFIXES else _app_id("tag", wanted)


def _display_name(view: _View, app_id: str) -> str:
    """Choose what a person reads: the application's own word, else its binary's, else the id's. Never a title."""
    for _, _, word in view.names:
        if word and word.casefold() not in TOOL_NAMES:
            return word
    for _, value, word in view.binaries:
        if word and word not in TOOL_NAMES and word not in BINARY_TRANSLATIONS:
            return _pretty(_undecorated(value))
    prefix, _, text = app_id.partition(":")
    if prefix == "steam":
        return f"Steam game {text}"
    if text in TOOL_NAMES:  # as it writes itself: SoX
        return next((one.word for one in view.names if one.word.casefold() == text), text)
    return _pretty(_last_word(text) if prefix in CASED_PREFIXES else text)


def _last_word(desktop_id: str) -> str:
    words = desktop_id.split(".")
    return next((word for word in reversed(words[1:]) if word.casefold() not in EMPTY_WORDS), desktop_id)


def _pretty(text: str) -> str:
    spaced = text.replace("_", " ").replace("-", " ").strip()
    return spaced[:1].upper() + spaced[1:] if spaced.islower() else spaced


def _icon_name(view: _View, app_id: str) -> str:
    """Choose an icon's name: the application's own, else the id's text, which is a desktop file's or a program's name."""
    for key in ("application.icon_name", "media.icon_name"):
        for _, value, _ in _said(view.stream, view.client, key):
            if "/" not in value and not GENERIC_ICON.fullmatch(value.casefold()):
                return value[:NAME_LIMIT]
    prefix, _, text = app_id.partition(":")
    if prefix == "steam":
        return f"steam_icon_{text}"
    return text if prefix in {"flatpak", "snap", "id", "bin", "name"} else ""


def _desktop_app_id(text: str) -> str:
    """Build an id from a desktop id: `id:` in reverse-DNS form; a plain one is the program's name, hence `bin:`."""
    bare = text.removesuffix(".desktop")
    if REVERSE_DNS.fullmatch(bare):
        return _app_id("id", bare)
    return _app_id("bin", _program(bare))


def _app_id(prefix: str, text: str) -> str:
    """Build an id of at most ID_LIMIT characters that needs no quoting; "" if nothing of the text is left."""
    if not text:
        return ""
    slug = text[:TEXT_LIMIT]
    if not slug.isascii():
        slug = unicodedata.normalize("NFKC", slug)
    if prefix not in CASED_PREFIXES:
        slug = slug.casefold()
    slug = NOT_IN_IDS.sub("-", slug).strip("-.")
    return f"{prefix}:{slug}"[:ID_LIMIT].rstrip("-.") if slug else ""


def _undecorated(binary: str) -> str:
    """Take path, packaging and version off a binary's name, and keep its case."""
    if binary.isalnum() and len(binary) <= NAME_LIMIT:  # which leaves nothing to take off
        return binary
    base = binary.replace("\\", "/").rpartition("/")[2]
    name = BINARY_SUFFIX.sub("", base[:NAME_LIMIT])
    if name[-9:].casefold() == ".appimage":
        name = APPIMAGE.sub("", name)
    if name.startswith("."):  # NixOS: .firefox-wrapped
        name = name.lstrip(".").removesuffix("_").removesuffix("-wrapped")
    return name.strip()


def _stem(binary: str) -> str:
    return _undecorated(binary).casefold()


def _program(binary: str) -> str:
    """Reduce a binary to the program's case-folded name; "" if it is generic."""
    stem = _stem(binary)
    if stem in GENERIC_BINARIES or GENERIC_BINARY.fullmatch(stem):
        return ""
    return BINARY_TRANSLATIONS.get(stem, stem)


def _script(argument: str) -> str:
    """Reduce an argument of an interpreter to the program's name; "" if it is generic."""
    word = _program(SCRIPT_SUFFIX.sub("", argument))
    return "" if word in GENERIC_SCRIPTS or word.startswith("-") else word


def _name_word(name: str) -> str:
    """Reduce an application's name to what a person would call it; "" if it is generic."""
    text = name[:NAME_LIMIT].strip()
    if not text.isalnum():  # else there is nothing to take off
        if wrapped := WRAPPED_NAME.fullmatch(text):
            text = _undecorated(wrapped[1] or wrapped[2] or "")
        text = NAME_TRANSLATIONS.get(text.casefold(), text)
        text = BINARY_SUFFIX.sub("", VERSION_IN_NAME.sub("", text)).strip()
    folded = text.casefold()
    if folded in GENERIC_NAMES or GENERIC_NAME.fullmatch(folded) or not _program(folded):
        return ""
    return text
