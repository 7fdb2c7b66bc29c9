"""Try from inside what the sandbox of the unit forbids, and print as JSON what came of each: "done", or the error's name.

scripts/boot_checks.py has it run by the unit in place of the service, and once more without the unit, where all that an
ordinary program may do has to succeed: so a try that cannot fail is noticed.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_NEW_USER, _NEW_MOUNTS, _NEW_NET = 0x10000000, 0x00020000, 0x40000000
_PTRACE_SEIZE = 0x4206
_PERSONALITY_32 = 0x0008
_NUMBERS = {  # of system calls that glibc does not wrap; the same on all newer architectures but x86_64
    "x86_64": {
        "bpf": 321,
        "perf_event_open": 298,
        "init_module": 175,
        "process_vm_readv": 310,
        "keyctl": 250,
    },
    "aarch64": {
        "bpf": 280,
        "perf_event_open": 241,
        "init_module": 105,
        "process_vm_readv": 270,
        "keyctl": 219,
    },
}[os.uname().machine]
SHARED = Path("/var/tmp/pwmixer-probe")  # noqa: S108 - this is what is tried
"""Written to and left, so that it can be seen whether others see it."""


def tries(victim: int) -> dict[str, Callable[[], object]]:
    """Name what is tried; `victim` is a process of the same user."""
    home = Path.home()
    return {
        "write to the home folder": lambda: _write(home / "probe"),
        "write to another program's configuration": lambda: _write(home / ".config" / "probe"),
        "write to the runtime folder": lambda: _write(Path(os.environ["XDG_RUNTIME_DIR"]) / "probe"),
        "write to its own configuration": lambda: _write(home / ".config" / "pwmixer" / "probe"),
        "write to its own state": lambda: _write(home / ".local" / "state" / "pwmixer" / "probe"),
        "write to its own cache": lambda: _write(home / ".cache" / "pwmixer" / "probe"),
        "write to its own runtime folder": lambda: _write(
            Path(os.environ["XDG_RUNTIME_DIR"], "pwmixer", "probe")
        ),
        "write to shared memory": lambda: _write(Path("/dev/shm/pwmixer-probe")),  # noqa: S108 - where it is
        "write to a folder for all, as it sees it": lambda: SHARED.write_text("x", encoding="ascii"),
        "make a program that changes its user": lambda: _make_setuid(home),
        "signal another process": lambda: os.kill(victim, 0),
        "signal it by a descriptor": lambda: _checked(_libc.syscall(424, os.pidfd_open(victim), 0, None, 0)),
        "debug another process": lambda: _ptrace(victim),
        "read another's memory": lambda: _read_memory(victim),
        "open another's memory": lambda: os.close(os.open(f"/proc/{victim}/mem", os.O_RDWR)),
        "see another's command": lambda: Path(f"/proc/{victim}/cmdline").read_bytes(),
        "open an internet socket": lambda: socket.socket(socket.AF_INET).close(),
        "open an internet socket, version 6": lambda: socket.socket(socket.AF_INET6).close(),
        "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
        "open a unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "make a user namespace": lambda: _in_child(lambda: _checked(_libc.unshare(_NEW_USER))),
        "make a mount namespace": lambda: _in_child(lambda: _checked(_libc.unshare(_NEW_USER | _NEW_MOUNTS))),
        "make a network namespace": lambda: _in_child(lambda: _checked(_libc.unshare(_NEW_USER | _NEW_NET))),
        "map memory to write and run": lambda: mmap.mmap(
            -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        ),
        "make written memory runnable": _make_runnable,
        "set a kernel parameter": lambda: _open_to_write("/proc/sys/kernel/core_pattern"),
        "write below /sys": lambda: _open_to_write("/sys/kernel/mm/transparent_hugepage/enabled"),
        "write to control groups": _make_group,
        "read the kernel's log": lambda: os.close(os.open("/dev/kmsg", os.O_RDONLY)),
        "mount": lambda: _checked(_libc.mount(b"none", b"/mnt", b"tmpfs", 0, None)),
        "load a kernel module": lambda: _checked(_libc.syscall(_NUMBERS["init_module"], None, 0, b"")),
        "use bpf": lambda: _checked(_libc.syscall(_NUMBERS["bpf"], 0, None, 0)),
        "watch with perf": lambda: _checked(_libc.syscall(_NUMBERS["perf_event_open"], None, 0, -1, -1, 0)),
        "set the clock": lambda: _checked(_libc.settimeofday(bytes(16), None)),
        "change the personality": lambda: _in_child(lambda: _checked(_libc.personality(_PERSONALITY_32))),
        "run in real time": lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
        "call back from C": _call_back,
    }


def outcome(action: Callable[[], object]) -> str:
    """Say what comes of a try."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    except MemoryError:
        return "ENOMEM"
    return "done"


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def _write(path: Path) -> None:
    path.write_text("x", encoding="ascii")
    path.unlink()


def _open_to_write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY))


def _make_setuid(home: Path) -> None:
    path = Path("/dev/shm", f"probe-{home.name}")  # noqa: S108 - it has to be where it may write
    path.write_text("x", encoding="ascii")
    try:
        path.chmod(0o4755)
    finally:
        path.unlink()


def _make_group() -> None:
    own = Path("/proc/self/cgroup").read_text(encoding="ascii").rpartition("::")[2].strip()
    folder = Path(f"/sys/fs/cgroup{own}").parent / "probe"
    folder.mkdir()
    folder.rmdir()


def _ptrace(victim: int) -> None:
    # 0: to seize stops nobody; whoever ends lets go.
    _in_child(lambda: _checked(_libc.ptrace(_PTRACE_SEIZE, victim, None, None)))


def _read_memory(victim: int) -> None:
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    start = int(Path("/proc/self/maps").read_text(encoding="ascii").partition("-")[0], 16)
    local = Vector(ctypes.cast(ctypes.create_string_buffer(1), ctypes.c_void_p), 1)
    remote = Vector(start, 1)
    result = _libc.syscall(
        _NUMBERS["process_vm_readv"], victim, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0
    )
    if result < 0 and ctypes.get_errno() != errno.EFAULT:  # no such address: it was allowed to look
        raise OSError(ctypes.get_errno(), "")


def _make_runnable() -> None:
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    memory[:1] = b"\xc3"
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _checked(_libc.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC))


def _call_back() -> None:
    """Do what the service does all the time: libpulse calls Python."""
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 2)(2, 1)
    _libc.qsort(numbers, 2, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
    if list(numbers) != [1, 2]:
        raise OSError(errno.ENOSYS, "")


def _in_child(action: Callable[[], object]) -> None:
    """Try it in a process of its own, since it cannot be undone."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "")


if __name__ == "__main__":
    victim = int(sys.argv[1])
    found = {name: outcome(action) for name, action in tries(victim).items()}
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="ascii")
