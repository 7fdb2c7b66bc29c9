"""Check the installed service in a booted tree: activation, notes to systemd, the sandbox, drop-ins, mending, removal.

scripts/boot-check runs this inside, as the user. Only Python's own library is here. Each check leaves things as it found them.
"""

import itertools
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME, ROOT = "org.pwmixer.Mixer", "/org/pwmixer/Mixer"
UNIT, SOCKET = "pwmixer-dbus.service", "pwmixer-dbus.socket"
HOME, RUNTIME = Path.home(), Path(os.environ["XDG_RUNTIME_DIR"])
PYTHON = "/opt/pwmixer/bin/python"
PROBE = Path("/src/scripts/sandbox_probe.py")
SHARED = Path("/var/tmp/pwmixer-probe")  # noqa: S108 - see sandbox_probe.py
STARTS = 20
ALLOWED = {
    "signal it by a descriptor",  # for bar_signal
    "write to its own configuration",
    "write to its own state",
    "write to its own cache",
    "write to its own runtime folder",
    "write to shared memory",
    "write to a folder for all, as it sees it",
    "see another's command",
    "open a unix socket",
    "call back from C",
}
"""What the service needs; everything else that the probe tries has to fail."""

PRIVILEGED = {
    "write to control groups",
    "read the kernel's log",
    "use bpf",
    "watch with perf",
    "write below /sys",
    "set a kernel parameter",
    "mount",
    "load a kernel module",
    "set the clock",
    "run in real time",
}
"""What an ordinary program may not do either, so that it proves nothing where it fails outside."""


class CheckError(Exception):
    """Something is not as it should be."""


def expect(condition: object, what: str) -> None:
    """Raise CheckError unless a condition holds."""
    if not condition:
        raise CheckError(what)


def run(*words: str, code: int | None = 0, **variables: str) -> str:
    """Run a program to its end; return what it said."""
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **variables},
    )
    expect(
        code is None or done.returncode == code,
        f"{' '.join(words)} ended with {done.returncode}: {done.stdout}",
    )
    return done.stdout


def systemctl(*words: str, code: int | None = 0) -> str:
    """Ask the user's systemd."""
    return run("systemctl", "--user", *words, code=code)


def shown(prop: str, unit: str = UNIT) -> str:
    """Return what systemd knows of the unit."""
    return systemctl("show", "--value", f"--property={prop}", unit).strip()


def busctl(*words: str) -> Any:
    """Ask the bus; return the plain answer."""
    return json.loads(run("busctl", "--user", "--json=short", *words))["data"]


def get(prop: str) -> Any:
    """Read a property of the service, which starts it."""
    return busctl("get-property", NAME, ROOT, NAME, prop)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, f"{what} did not come about")
        time.sleep(0.05)


def journal() -> str:
    """Return what the present run of the unit has logged."""
    invocation = shown("InvocationID")
    return run(
        "journalctl",
        "--user",
        "--no-pager",
        "--output=cat",
        f"_SYSTEMD_INVOCATION_ID={invocation}",
        code=None,
    )


@contextmanager
def drop_in(text: str) -> Iterator[None]:
    """Have a drop-in as long as the context lasts; the service is stopped before and after."""
    folder = HOME / ".config" / "systemd" / "user" / f"{UNIT}.d"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "check.conf"
    file.write_text(text, encoding="utf-8")
    systemctl("stop", UNIT)
    systemctl("daemon-reload")
    try:
        yield
    finally:
        file.unlink()
        folder.rmdir()
        systemctl("stop", UNIT)
        systemctl("reset-failed", UNIT, code=None)
        systemctl("daemon-reload")


def install_enables_and_starts() -> None:
    """See that it runs after `install`, is enabled, and does nothing when it is done again."""
    before = {p for p in HOME.rglob("*") if not p.is_dir()}
    said = run("pwmixerctl", "install")
    expect((shown("ActiveState"), shown("UnitFileState")) == ("active", "enabled"), said)
    expect(shown("ActiveState", SOCKET) == "active", "the socket does not listen")
    expect("write" not in run("pwmixerctl", "install"), "a second time wrote something")
    expect({p for p in HOME.rglob("*") if not p.is_dir()} - before, "nothing was installed")


def it_prepares_its_next_start() -> None:
    """See that its byte code is written into one file, in the sandbox."""
    get("Version")
    wait_for(
        (HOME / ".cache" / "pwmixer" / "bytecode").exists, f"the byte code of the next start: {journal()}"
    )


def a_first_call_is_answered() -> None:
    """See that a call to a stopped service starts it through systemd, and print how long that takes."""
    for what in ("with a sound server", "without a sound server"):
        if what.startswith("without"):
            systemctl("stop", "pipewire-pulse.socket", "pipewire-pulse.service")
        times = []
        for _ in range(STARTS):
            systemctl("stop", UNIT)
            started = time.monotonic()
            run("busctl", "--user", "call", NAME, ROOT, NAME, "Describe", "a{sv}", "0")
            times.append(1000 * (time.monotonic() - started))
            systemctl(
                "reset-failed", UNIT, code=None
            )  # so many starts in so little time would count as a fault
        p95 = statistics.quantiles(times, n=20)[18]
        print(
            f"   {what}: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms (busctl and all, load {os.getloadavg()[0]:.1f})"
        )
    systemctl("start", "pipewire-pulse.socket")
    wait_for(lambda: get("Connected"), "the sound server to be found again")


def systemd_is_told() -> None:
    """See that the status is in `systemctl status`, and the sandbox in the journal."""
    wait_for(lambda: get("Connected"), "the sound server")
    wait_for(lambda: "Connected to PulseAudio (on PipeWire" in shown("StatusText"), "the status")
    expect("the sandbox is in force:" in journal(), journal())
    expect("cookie" not in journal(), journal())


def it_has_the_priority_of_the_sound_server() -> None:
    """See that RealtimeKit gives it what it gives PipeWire, the sandbox notwithstanding."""
    get("Connected")
    of_sound = int(run("ps", "-C", "pipewire-pulse", "-o", "ni="))
    expect(of_sound < 0, f"pipewire-pulse itself runs at nice {of_sound}")
    pid = int(shown("MainPID"))
    wait_for(
        lambda: os.getpriority(os.PRIO_PROCESS, pid) == of_sound,
        f"nice {of_sound} for process {pid}: {journal()}",
    )


def the_watchdog_sleeps_and_bites() -> None:
    """See that idle nobody watches; a service that hangs in its work is killed and started again."""
    hang = (
        "import time; from pwmixer_dbus import daemon; "
        "daemon.Daemon.reload = lambda *_: time.sleep(1000); daemon.main()"
    )
    with drop_in(f'[Service]\nWatchdogSec=1\nExecStart=\nExecStart={PYTHON} -c "{hang}"\n'):
        get("Version")
        wait_for(lambda: shown("WatchdogTimestampMonotonic") == "0", "the watchdog to sleep")
        first = shown("MainPID")
        time.sleep(3)  # three times what the watchdog waits for
        expect(shown("MainPID") == first, "an idle service was killed")
        os.kill(int(first), signal.SIGHUP)
        wait_for(lambda: shown("MainPID") not in {first, "0"}, "the hung service to be replaced")
        expect(shown("NRestarts") == "1", "it was not systemd that has started it again")
        wait_for(lambda: get("Version"), "an answer")


def it_comes_back_after_it_was_killed() -> None:
    """See that SIGKILL is a failure; a stop is not."""
    get("Version")
    first = shown("MainPID")
    os.kill(int(first), signal.SIGKILL)
    wait_for(
        lambda: shown("MainPID") not in {first, "0"} and shown("ActiveState") == "active", "a new process"
    )
    systemctl("stop", UNIT)
    expect(shown("ActiveState") == "inactive", "it did not stop")
    get("Version")
    expect(shown("ActiveState") == "active", "the bus did not start the unit")


def the_sandbox_holds() -> None:
    """See that everything that the probe tries fails inside, but what is needed; outside an ordinary program may do it."""
    result = RUNTIME / "pwmixer" / "probe.json"
    with subprocess.Popen(("sleep", "1000")) as victim:
        try:
            outside = RUNTIME / "outside.json"
            (HOME / ".config" / "pwmixer").mkdir(parents=True, exist_ok=True)
            (HOME / ".local" / "state" / "pwmixer").mkdir(parents=True, exist_ok=True)
            run(PYTHON, str(PROBE), str(victim.pid), str(outside))
            SHARED.unlink()
            with drop_in(
                f"[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart={PYTHON} {PROBE} {victim.pid} {result}\n"
            ):
                systemctl("start", UNIT)
        finally:
            victim.kill()
    free, held = (json.loads(path.read_text(encoding="ascii")) for path in (outside, result))
    for name, came in held.items():
        print(f"   {name}: {came} (outside: {free[name]})")
    broken = [name for name, came in held.items() if (came == "done") != (name in ALLOWED)]
    expect(not broken, f"not as it should be inside: {broken}")
    expect(not SHARED.exists(), f"others see {SHARED}")
    idle = [name for name, came in free.items() if came != "done" and name not in PRIVILEGED]
    expect(not idle, f"these fail outside as well, and prove nothing: {idle}")
    result.unlink()
    outside.unlink()


def nothing_is_lost_in_the_sandbox() -> None:
    """See that rules, memory, configuration, socket, statistics and shared memory work as they do outside."""
    config = HOME / ".config" / "pwmixer" / "config.toml"
    get("Version")
    config.write_text("[volume]\nmax = 0.7\n", encoding="utf-8")
    wait_for(lambda: get("MaxVolume") == 0.7, "an edit of the configuration to be noticed")  # noqa: PLR2004
    config.unlink()
    wait_for(lambda: get("MaxVolume") == 1.0, "its removal to be noticed")
    systemctl("reload", UNIT)
    run("pwmixerctl", "rules", "add", "--name", "Check", "--match", "app=nobody", "--hide")
    expect((HOME / ".config" / "pwmixer" / "rules.toml").is_file(), "rules.toml was not written")
    run("pwmixerctl", "rules", "remove", "Check")
    module = run("pactl", "load-module", "module-null-sink", "sink_name=check").strip()
    wait_for(lambda: get("DefaultSink").endswith("/check"), "the new sink to be the default")
    player = ("pacat", "--playback", "--property=application.name=Check", "--raw", "/dev/zero")
    with subprocess.Popen(player) as playing:

        def pids() -> list[int]:
            return [s["pid"] for s in json.loads(run("pwmixerctl", "list", "streams", "--json"))]

        wait_for(lambda: pids() == [playing.pid], "the stream and its process")
        run("pwmixerctl", "set", "@sink", "40%")
        # A sink that has only just come to run acknowledges a volume before it shows it.
        wait_for(lambda: "40%" in run("pwmixerctl", "get", "@sink"), "the volume")
        run("pwmixerctl", "cap", "app:check", "80%")
        playing.kill()
    _bars_are_signalled(config)
    config.write_text(
        "[shared_memory]\nenabled = true\n[stats]\nfile = true\nprometheus = true\n", encoding="utf-8"
    )
    shared = Path("/dev/shm", f"pwmixer-{os.getuid()}")  # noqa: S108 - where it is
    for file in (shared, RUNTIME / "pwmixer" / "stats", RUNTIME / "pwmixer" / "stats.prom"):
        wait_for(file.exists, f"{file}")
    config.unlink()
    run("pactl", "unload-module", module)
    systemctl("stop", UNIT)
    state = HOME / ".local" / "state" / "pwmixer" / "state.json"
    expect(state.is_file(), f"{state} was not written: {journal()}")
    get("Version")
    expect("WARNING" not in journal() and "ERROR" not in journal(), journal())
    expect(run("pwmixerctl", "doctor").endswith("othing is wrong.\n"), run("pwmixerctl", "doctor", code=None))


BAR = """
import pathlib, signal, sys, time
signal.signal(signal.SIGRTMIN + 8, lambda *_: pathlib.Path(sys.argv[1]).touch())
print("ready", flush=True)
time.sleep(1000)
"""


def _bars_are_signalled(config: Path) -> None:
    told, program, levels = RUNTIME / "told", HOME / "waybar", itertools.cycle((30, 50))
    shutil.copy(Path("/usr/bin/python3").resolve(), program)
    config.write_text("[bar_signal]\nenabled = true\nnumber = 8\n", encoding="utf-8")
    with subprocess.Popen((str(program), "-c", BAR, str(told)), stdout=subprocess.PIPE) as bar:
        try:
            expect(bar.stdout is not None and bar.stdout.readline(), "the bar did not start")

            def is_told() -> bool:
                run("pwmixerctl", "set", "@sink", f"{next(levels)}%")
                return told.exists()

            wait_for(is_told, "a bar to be signalled")
        finally:
            bar.kill()
            config.unlink()
            program.unlink()
            told.unlink(missing_ok=True)


def a_drop_in_opens_the_network() -> None:
    """See that PULSE_SERVER over TCP works with the drop-in of the documentation, and not without."""
    pages = Path("/src/docs/service.md").read_text(encoding="utf-8")
    (documented,) = re.findall(r"```\n([^`]*tcp:HOST[^`]*)```", pages)
    module = run(
        "pactl", "load-module", "module-native-protocol-tcp", "listen=127.0.0.1", "port=4713"
    ).strip()
    try:
        with drop_in("[Service]\nEnvironment=PULSE_SERVER=tcp:127.0.0.1:4713\n"):
            expect(get("Connected") is False, "the network is open without being asked for")
        with drop_in(documented.replace("tcp:HOST", "tcp:127.0.0.1:4713")):
            wait_for(lambda: get("Connected"), "the sound server over TCP")
    finally:
        run("pactl", "unload-module", module)


def the_doctor_knows() -> None:
    """See that a masked unit, a second instance and a missing sound server are told, a sentence each, and no others."""
    systemctl("stop", UNIT)
    systemctl("mask", "--runtime", UNIT)
    expect("The unit is masked" in run("pwmixerctl", "doctor", code=1), "masked")
    systemctl("unmask", "--runtime", UNIT)
    said = run("pwmixerctl", "doctor", code=None)
    expect("A second instance" not in said, f"it has been started by the question: {said}")
    systemctl("stop", UNIT)
    with subprocess.Popen(("pwmixer-dbus",), stderr=subprocess.DEVNULL) as second:
        wait_for(lambda: NAME in run("busctl", "--user", "list", "--acquired"), "the second instance")
        expect("A second instance" in run("pwmixerctl", "doctor", code=1), "second instance")
        second.terminate()
    systemctl("stop", "pipewire-pulse.socket", "pipewire-pulse.service")
    said = run("pwmixerctl", "doctor", code=1)
    expect("pipewire-pulse does not" in said, said)
    systemctl("start", "pipewire-pulse.socket")
    wait_for(lambda: get("Connected"), "the sound server")


def it_is_removed_without_a_trace() -> None:
    """See that `uninstall` stops it and leaves what a person made; `--purge` also forgets."""
    run("pwmixerctl", "uninstall", "--purge")
    expect(shown("LoadState") == "not-found", "the unit is still there")
    left = [str(p) for p in HOME.rglob("*pwmixer*") if p.is_file() or p.is_symlink()]
    expect([path for path in left if "rules.toml" not in path] == [], f"left behind: {left}")
    expect(NAME not in run("busctl", "--user", "list", "--acquired"), "it still runs")


def an_environment_at_home_works_and_may_move() -> None:
    """See that it can be installed from where pipx puts it, and mends itself from another place when that has gone."""
    first, second = HOME / ".local" / "share" / "pipx" / "venvs" / "pwmixer-dbus", HOME / "another place"
    links = HOME / ".local" / "bin"
    links.mkdir(parents=True, exist_ok=True)
    _fill(first)
    for name in ("pwmixerctl", "pwmixer-dbus"):
        (links / name).symlink_to(first / "bin" / name)
    run(str(links / "pwmixerctl"), "install")
    expect(shown("ActiveState") == "active", "it does not run")
    expect(str(links / "pwmixer-dbus") in shown("ExecStart"), shown("ExecStart"))
    systemctl("stop", UNIT)
    shutil.rmtree(first)
    _fill(second)
    control = str(second / "bin" / "pwmixerctl")
    expect("which is not there" in run(control, "doctor", code=1), "the doctor does not see that it has gone")
    run(control, "install")
    expect(str(second / "bin" / "pwmixer-dbus") in shown("ExecStart"), shown("ExecStart"))
    wait_for(lambda: get("Connected"), "the sound server")
    expect(run(control, "doctor").endswith("othing is wrong.\n"), run(control, "doctor", code=None))
    run(control, "uninstall")
    shutil.rmtree(second)


def _fill(environment: Path) -> None:
    run("python3", "-m", "venv", str(environment))
    pip = str(environment / "bin" / "pip")
    run(pip, "install", "--quiet", "--no-index", "--find-links", "/opt/wheels", "pwmixer-dbus")


CHECKS = (
    install_enables_and_starts,
    systemd_is_told,
    the_sandbox_holds,
    nothing_is_lost_in_the_sandbox,
    a_drop_in_opens_the_network,
    it_comes_back_after_it_was_killed,
    it_has_the_priority_of_the_sound_server,
    the_watchdog_sleeps_and_bites,
    the_doctor_knows,
    it_prepares_its_next_start,
    a_first_call_is_answered,
    it_is_removed_without_a_trace,
    an_environment_at_home_works_and_may_move,
)


def main() -> int:
    """Run all checks, or those that are named; 1 where one fails."""
    bus = run("systemctl", "--user", "show", "--value", "-p", "Id", "dbus.service").strip()
    print(f"{run('systemctl', '--version').splitlines()[0]}, {bus}, Python {sys.version.split()[0]}")
    failed = 0
    for check in CHECKS:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]:
            continue
        try:
            check()
            print(f"ok {check.__name__}", flush=True)
        except (CheckError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAILED {check.__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
