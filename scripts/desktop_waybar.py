"""waybar in a headless sway, with the module that docs/bars.md tells people to write: what it shows, and what a mouse does.

What is on the screen is read from screenshots: each state has a colour of its own by its class, and a text that is
another gives another picture. Run by `scripts/desktop waybar`.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from session import Session, SessionError
from virtual_pointer import Pointer, PointerError

ROOT = Path(__file__).resolve().parent.parent
SIZE = (800, 200)
NOBODY = 65534
WAIT = 20.0
TEXT_SINCE = (0, 12)
"""The first waybar that knows {text}."""
HOSTILE = "<b>Radio</b> & \"Co\" 'x'"
COLORS = {
    "playing": (0x10, 0x60, 0x20),
    "muted": (0x80, 0x20, 0x20),
    "no-server": (0x60, 0x40, 0x10),
    "no-service": (0x50, 0x10, 0x60),
    "asked-playing": (0x30, 0x30, 0x70),
    "asked-muted": (0x10, 0x50, 0x80),
    "asked-no-server": (0x10, 0x70, 0x70),
    "tooltip": (0x70, 0x70, 0x10),
}
"""A background for each class that is looked for, and for the tooltip; no other thing on the screen has it."""

STYLE = """
* { font-family: "DejaVu Sans"; font-size: 15px; border: none; border-radius: 0; }
window#waybar { background: #181818; color: #ffffff; }
#custom-volume, #custom-asked { padding: 0 14px; margin: 0 2px; }
"""
SWAY = """
output HEADLESS-1 resolution {0}x{1}
output * bg #203040 solid_color
xwayland disable
seat * hide_cursor 0
"""

Picture = bytes


class Desk:
    """A session with sound, the service, sway and waybar."""

    def __init__(self, session: Session, shots: Path | None) -> None:
        self.session = session
        self.shots = shots
        self.taken = 0
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        bin_folder = Path(sys.executable).parent
        session.env["PATH"] = f"{bin_folder}:{session.env['PATH']}"

    def ctl(self, *words: str) -> str:
        """Run pwmixerctl."""
        return self.session.run("pwmixerctl", *words).strip()

    def start_service(self) -> None:
        """Start the service; return when it answers."""
        self.running["service"] = self.session.spawn("pwmixer", "pwmixer-dbus")
        self.session.wait_for_child("pwmixer", lambda: "%" in self.ctl_if_there("get"), "to answer")

    def ctl_if_there(self, *words: str) -> str:
        """Run pwmixerctl, which may fail."""
        return self.session.run("pwmixerctl", *words, check=False).strip()

    def start_waybar(self, display: Path) -> None:
        """Start waybar with the documented module, and with one that asks again at a signal."""
        self.session.env["WAYLAND_DISPLAY"] = str(display)
        asked = {
            "exec": "pwmixerctl waybar --once",
            "return-type": "json",
            "interval": "once",
            "signal": 8,
            "exec-on-event": False,
            **self.icons(),
        }
        bar = {"layer": "top", "position": "top", "height": 34, "modules-left": ["custom/volume"]}
        bar |= {"modules-right": ["custom/asked"], "custom/asked": asked} | documented("custom/volume")
        folder = self.session.runtime
        (folder / "bar.json").write_text(json.dumps(bar), encoding="utf-8")
        rules = [
            f"{selector(sort)} {{ background: #{bytes(color).hex()}; }}" for sort, color in COLORS.items()
        ]
        (folder / "bar.css").write_text("\n".join([STYLE, *rules]), encoding="utf-8")
        files = ("-c", str(folder / "bar.json"), "-s", str(folder / "bar.css"))
        self.running["waybar"] = self.session.spawn("waybar", "waybar", *files)

    def icons(self) -> dict[str, object]:
        """Return the documented choice of icons, in the words of this version."""
        version = re.search(r"(\d+)\.(\d+)", self.session.run("waybar", "--version"))
        is_old = version is not None and (int(version[1]), int(version[2])) < TEXT_SINCE
        icons = documented("format")
        return icons | {"format": str(icons["format"]).replace("{text}", "{}")} if is_old else icons

    def end(self, name: str) -> None:
        """End the service or waybar as a person would."""
        self.running[name].terminate()
        self.running[name].wait(WAIT)

    def picture(self) -> Picture:
        """Take what is on the screen: a header, then three bytes a pixel."""
        file = self.session.runtime / "screen.ppm"
        self.session.run("grim", "-t", "ppm", str(file))
        return file.read_bytes()

    def shows(self, sort: str) -> bool:
        """Whether a class is on the screen by its colour."""
        return bytes(COLORS[sort]) * 8 in self.picture()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something holds, and say so; else what there is, on the screen, with us, and with the server."""
        try:
            self.session.wait_for(condition, what, WAIT)
        except SessionError:
            print(f"--- the screen shows {[sort for sort in COLORS if self.shows(sort)]}", file=sys.stderr)
            for words in ("pwmixerctl waybar --once", "pwmixerctl status", "pactl info", "pw-metadata"):
                said = self.session.run(*words.split(), check=False)
                print(f"--- {words}\n{said}", file=sys.stderr)
            self.shoot("failed")
            raise
        print(f"desktop: {what}")

    def wait_shown(self, sort: str, what: str) -> None:
        """Wait until a class is on the screen."""
        self.wait_for(lambda: self.shows(sort), what)
        self.shoot(sort)

    def wait_changed(self, before: Picture, what: str) -> Picture:
        """Wait until the screen is another than before; return it."""
        after = before

        def differs() -> bool:
            nonlocal after
            after = self.picture()
            return after != before

        self.wait_for(differs, what)
        return after

    def shoot(self, name: str) -> None:
        """Keep a screenshot, where somebody wants them."""
        if self.shots is not None:
            self.taken += 1
            self.session.run("grim", str(self.shots / f"{self.taken:02}-{name}.png"))


def selector(sort: str) -> str:
    """Write a class as the style sheet does: of the module that follows, or of the one that is asked; or the tooltip."""
    if sort == "tooltip":
        return sort
    name = sort.removeprefix("asked-")
    return f"#custom-volume.{name}" if name == sort else f"#custom-asked.{name}"


def documented(key: str) -> dict[str, object]:
    """Return the example for waybar from docs/bars.md that begins with a key."""
    page = (ROOT / "docs" / "bars.md").read_text(encoding="utf-8")
    found = re.search(rf"^```json\n(\"{key}\".*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise SessionError(f"docs/bars.md has no example for waybar that begins with {key}")
    module: dict[str, object] = json.loads(f"{{{found[1]}}}")
    return module


@contextlib.contextmanager
def sway(session: Session) -> Iterator[Path]:
    """Start sway without a display; yield the socket of its clients. It refuses to be root, so it is nobody then."""
    is_root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="pwm-sway-"))
    try:
        config = folder / "config"
        config.write_text(SWAY.format(*SIZE))
        drop = [
            "setpriv",
            f"--reuid={NOBODY}",
            f"--regid={NOBODY}",
            "--clear-groups",
            "--pdeathsig=TERM",
            "--",
        ]
        if is_root:
            os.chown(folder, NOBODY, NOBODY)
            config.chmod(0o644)
        environment = session.env | {
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder),
            "SWAYSOCK": str(folder / "sway.sock"),
            "WLR_BACKENDS": "headless",
            "WLR_LIBINPUT_NO_DEVICES": "1",
            "WLR_RENDERER": "pixman",
        }
        session.spawn("sway", *(drop if is_root else ()), "sway", "-c", str(config), env=environment)
        found: list[Path] = []

        def is_there() -> bool:
            found[:] = [path for path in folder.glob("wayland-*") if path.is_socket()]
            return bool(found) and (folder / "sway.sock").is_socket()

        session.wait_for_child("sway", is_there, "to take clients")
        yield found[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def modules(session: Session) -> list[int]:
    """Find our own modules that run: pwmixerctl in this session."""
    mark = f"XDG_RUNTIME_DIR={session.runtime}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            is_ours = mark in (folder / "environ").read_bytes().split(b"\0")
            if is_ours and b"waybar" in words and any(word.endswith(b"pwmixerctl") for word in words):
                found.append(int(folder.name))
    return found


def check(desk: Desk, display: Path) -> None:
    """Go through what a person sees and does."""
    session = desk.session
    with Pointer(display, SIZE) as pointer:
        desk.start_waybar(display)
        session.wait_for_child("waybar", lambda: modules(session), "to start our module")
        desk.wait_shown("playing", "the module shows that something plays, in its colour")
        desk.wait_shown("asked-playing", "so does the one that is asked once")
        pointer.move(30, 17)
        desk.wait_shown("tooltip", "the tooltip shows up under the pointer")
        pointer.move(400, 150)
        desk.wait_for(lambda: not desk.shows("tooltip"), "and goes")
        first = desk.picture()

        desk.ctl("set", "80%")
        desk.wait_changed(first, "another volume is another text")
        desk.ctl("set", "100%")
        desk.wait_for(lambda: desk.picture() == first, "and the first volume is the first picture again")

        pointer.move(30, 17)
        pointer.scroll(2)
        desk.wait_for(lambda: desk.ctl("get") == "90%", "two notches down are 90 %")
        pointer.scroll(-1)
        desk.wait_for(lambda: desk.ctl("get") == "95%", "one notch up is 95 %")
        pointer.click("right")
        desk.wait_for(lambda: "muted" in desk.ctl("get", "@source"), "the right button mutes the microphone")
        pointer.click("middle")
        desk.wait_for(
            lambda: json.loads(desk.ctl("describe"))["defaults"]["sink"] == "headset",
            "the middle button chooses the headset",
        )
        desk.ctl("default", "sink:speakers")
        pointer.click("left")
        desk.wait_for(lambda: "muted" in desk.ctl("get"), "the left button mutes")
        desk.wait_shown("muted", "the module shows it")
        desk.wait_shown("asked-muted", "so does the one that asks again at a signal of the service")
        desk.ctl("unmute")
        desk.wait_for(
            lambda: not desk.shows("muted") and not desk.shows("asked-muted"), "and that it is over"
        )

    session.stop_sound()
    desk.wait_shown("no-server", "a sound server that has gone is shown")
    desk.wait_shown("asked-no-server", "also by the one that asks")
    session.start_sound()
    populate(session)
    desk.wait_shown("playing", "it comes back by itself")
    desk.end("service")
    desk.wait_shown("no-service", "a service that has gone is shown")
    desk.start_service()
    desk.wait_shown("playing", "it comes back by itself, too")

    desk.end("waybar")
    desk.wait_for(lambda: not modules(session), "when waybar leaves, its modules end")
    said = (session.runtime / "waybar.log").read_text(errors="replace")
    bad = [line for line in said.splitlines() if re.search(r"\[(error|critical)\]|Gtk-WARNING|markup", line)]
    if bad:
        raise SessionError("waybar complains:\n" + "\n".join(bad))


def populate(session: Session) -> None:
    """Add what a small desktop has, and a program whose name is markup."""
    session.add_null_sink("speakers", "Speakers")
    session.add_null_sink("headset", "Headset")
    session.add_null_source("microphone", "Microphone")
    session.pactl("set-default-sink", "speakers")
    session.pactl("set-default-source", "microphone")
    for name in ("Firefox", HOSTILE):
        session.play(name, sink="speakers")
    # PipeWire applies what is set of a device only while it runs.
    session.record("Meet", source="microphone")


def main() -> int:
    """Run it all; say in a sentence what is wrong."""
    shots = Path(sys.argv[1]) if sys.argv[1:] else None
    if shots is not None:
        shots.mkdir(parents=True, exist_ok=True)
    with Session() as session:
        desk = Desk(session, shots)
        try:
            populate(session)
            session.configure("[bar_signal]\nenabled = true\n")
            desk.start_service()
            with sway(session) as display:
                check(desk, display)
        except (SessionError, PointerError, OSError) as error:
            for name in ("waybar", "sway", "pwmixer"):
                with contextlib.suppress(OSError):
                    print(f"--- {name}\n{session.log_tail(name, 10)}", file=sys.stderr)
            print(f"desktop: {error}", file=sys.stderr)
            return 1
    print("desktop: waybar is as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
