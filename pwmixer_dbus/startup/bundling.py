"""Writes the file of `pwmixer_dbus.startup.bundle`: a process of its own, which takes a second or more, and which nobody waits for.

Sources are compiled as ever, but without what a service has no use for: documentation, in which column each instruction is
(`-X no_debug_ranges` keeps those away; lines stay), and of which class a function is. What it imports later than at its
start is in `LATER`. Functions that have not been called by when its start was over, two thirds of all, are put off: of
each, there is a stub of 0.3 instead of 0.7 KiB in memory.
"""

import ast
import contextlib
import ctypes
import fcntl
import importlib
import marshal
import os
import re
import signal
import sys
import time
from _imp import source_hash
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec
from itertools import groupby
from pathlib import Path
from pkgutil import iter_modules
from re import _compiler, _parser  # type: ignore[attr-defined] # private, as in `core.patterns`
from types import CodeType, ModuleType
from typing import Any

from pwmixer_dbus.startup import bundle, later
from pwmixer_dbus.startup.sharing import shared
from pwmixer_dbus.system.runtime import private

LATER = (
    "pwmixer_dbus.outlets.barsignal",
    "pwmixer_dbus.outlets.bus.notifications",
    "pwmixer_dbus.outlets.bus.rtkit",
    "pwmixer_dbus.outlets.bus.statistics",
    "pwmixer_dbus.outlets.osd",
    "pwmixer_dbus.outlets.shm.outlet",
    "pwmixer_dbus.outlets.socket.listener",
    "pwmixer_dbus.outlets.stats",
    "pwmixer_dbus.system.pidfile",
    "pwmixer_dbus.succession",
    "tomllib",
)
"""What the service loads after its start, where it is switched on or asked for."""

_BY_MODULE = {
    "core.commands": "slot_of",
    "core.directory": "_moved entered",
    "core.identity": """_app_id _binary_facts _display_name _facts _icon_name _look _name_word _program _renamed _said _sandboxes
        _strongest _undecorated identify""",
    "core.loops": "closes_a_loop",
    "core.matching": "Outcomes.of _candidates _folded _merged _texts facts outcome",
    "core.measures": "Measures._add_and_tell Measures.follow Measures.noticed Measures.spent",
    "core.model": "clean",
    "core.routing": """_after_move _concerned_by _doubtful _is_cause _judged _manages _step _there _times _told _with_led
        _with_other_ends decide first_there follow goal_of is_pinned restore_name speaks_against_default wish_of""",
    "core.state": """MixerState._there MixerState.client_of MixerState.default MixerState.device_named
        MixerState.device_of MixerState.streams_of_client _as_decided _bounded _client_seen _identity_of _joined _named _regrouped
        _seen _stream_born _stream_levelled _stream_seen levelled more_than_levelled""",
    "core.table": "with_entry",
    "lanes": "Lanes._advance Lanes.enqueue Lanes.mover_of _Lane.__init__",
    "mixer": "Mixer.act",
    "pulse.convert": "_look stream",
    "pulse.server": """SoundServer._fetch SoundServer._fetched SoundServer._looked SoundServer._on_notice SoundServer._see
        SoundServer._seen SoundServer._stream_of SoundServer._touch SoundServer._touch_dependents SoundServer.send _request_of""",
    "router": "Router._carry_out Router._on_change Router._waits Router._world Router.outcome_of",
}

AT_ONCE = frozenset(
    f"pwmixer_dbus.{module}:{name}" for module, names in _BY_MODULE.items() for name in names.split()
)
"""Functions that are never put off, even where no earlier start has called them, as `module:function`: a new stream's move waits for them.

The session manager is about to link such a stream elsewhere, and the first call of each, put off, would delay the move
by some 20 µs: half of them together by a millisecond.
"""

OURS = "pwmixer_dbus."
"""How the names of our modules begin."""

YOUNG = 2.0
"""Seconds for which a file that has changed may change again and look the same, where times are kept roughly."""

LITTLE = 300
"""Bytes of a code, as it is written, below which a stub would hardly be smaller."""

UNNAMED = "a variable"
"""What all variables of a function are renamed to, but for its arguments and those that it shares with inner functions."""

_LOOKING_AT_THEM = frozenset({"locals", "vars", "dir", "eval", "exec"})

LOOKED_INTO = frozenset({"typing"})
"""Modules that stay out of the file, since others look into them while they run: typing_extensions reads variables of
functions of `typing` by their names.

With Python 3.11, just reading them mixes up variables of one name, as `UNNAMED` are, where calls are noted.
"""

_PR_SET_PDEATHSIG = 1
_LINE_ONLY, _NO_LINE = 13, 15
_SIX_BITS, _MORE = 0x3F, 0x40

_CO_OPTIMIZED, _CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x1, 0x20, 0x80, 0x200
_CO_MORE = 0x4 | 0x8
"""That a function takes more by `*` and by `**`."""

_KINDS = _CO_GENERATOR | _CO_COROUTINE | _CO_ASYNC_GENERATOR
_STUBS: Mapping[int, CodeType] = {
    kind: compile(text, "", "exec").co_consts[0]
    for kind, text in {
        0: "def stub(*values, **named): return __loader__(values, named)",
        _CO_GENERATOR: "def stub(*values, **named): return (yield from __loader__(values, named))",
        _CO_COROUTINE: "async def stub(*values, **named): return await __loader__(values, named)",
    }.items()
}
"""What stands for a function, of each kind that can be told from others."""

Bodies = dict[tuple[str, int], tuple[str, int]]
"""The full names of the functions of a module and where they begin in the file, by their names and first lines."""

Source = tuple[str, bool]
"""The file that a module is in, and whether it is a package."""


def main() -> None:
    """Write the file for the service that has started this process, and for those that are started like it."""
    texts, called, expressions = marshal.load(sys.stdin.buffer)  # noqa: S302 - of the service that has started us
    ctypes.CDLL(None).prctl(
        _PR_SET_PDEATHSIG, signal.SIGTERM
    )  # whoever removes all of a session has ended the service
    with contextlib.suppress(OSError):  # a sandbox may have something against it
        os.nice(10)  # 19 is next to nothing on a machine that is never idle
    import_all()
    for pattern, flags in expressions:
        re.compile(pattern, flags)
    try:
        sources = sources_of({**not_loaded(), **sys.modules}, sys.path)
        write(Path(bundle.folder_of(os.environ)), sources, sys.path, texts, called)
    except OSError as error:
        sys.exit(f"the byte code could not be written into one file: {error}")


def import_all() -> None:
    """Import what the service does, as it does."""
    sys.modules["ssl"] = None  # type: ignore[assignment] # as in `start`
    with later.put_off():
        importlib.import_module("pwmixer_dbus.daemon")
    for name in LATER:
        importlib.import_module(name)


def not_loaded() -> dict[str, ModuleType]:
    """Make modules of what else is in our packages, without running it: what a service loads for few may bring much."""
    packages = [
        m for name, m in sys.modules.items() if f"{name}.".startswith(OURS) and hasattr(m, "__path__")
    ]
    found = {}
    for package in packages:
        for _, name, is_package in iter_modules(package.__path__, f"{package.__name__}."):
            spec = find_spec(name) if name not in sys.modules and not is_package else None
            if spec is not None:
                found[name] = module_from_spec(spec)
    return found


def sources_of(modules: Mapping[str, ModuleType], path: Sequence[str]) -> dict[str, Source]:
    """Choose the modules that are sources in the folders where the ordinary import looks for them by a `sys.path`."""
    found: dict[str, Source] = {}
    for name, module in sorted(modules.items(), key=lambda named: named[0].count(".")):
        spec = getattr(module, "__spec__", None)
        if spec is None or spec.name != name or type(spec.loader) not in (SourceFileLoader, bundle.Loader):
            continue
        if name in LOOKED_INTO:
            continue
        above, _, last = name.rpartition(".")
        places = list(modules[above].__path__) if above else [folder or str(Path.cwd()) for folder in path]
        is_package = spec.submodule_search_locations is not None
        ending = f"/{last}/__init__.py" if is_package else f"/{last}.py"
        is_usual = spec.origin.endswith(ending) and spec.origin.removesuffix(ending) in places
        if is_usual and (not above or (above in found and len(places) == 1)):
            found[name] = spec.origin, is_package
    return found


def write(
    folder: Path,
    sources: Mapping[str, Source],
    path: Sequence[str],
    texts: Sequence[str] = (),
    called: Collection[str] = (),
    *,
    young: float = YOUNG,
) -> None:
    """Write the file into a folder; raises OSError where that cannot be. `young` is as above.

    Functions that are not among those `called`, nor `AT_ONCE`, are put off, where anything is known of that.
    """
    index, code = _compiled(sources, path, called)
    index["texts"] = {text: shared(without_columns(compile(text, "<string>", "exec"))) for text in texts}
    looked_at = {source: then for source, then, *_ in index["modules"].values()}
    looked_at |= {place: then for place, (then, *_) in index["folders"].items()}
    changed = max(map(_changed, looked_at.values()))
    time.sleep(min(max(changed + young - time.time(), 0), young))
    is_settled = changed + young <= time.time() and bundle.searched(path, index["top"], {}) == index["path"]
    if not is_settled or any(bundle.seen(place) != then for place, then in looked_at.items()):
        raise OSError("a module has changed only now")
    # Where something changes all the time, as in a home folder, the reader has to look.
    index["searched"] = {
        folder: known
        for folder, known in index["searched"].items()
        if _changed(known[0]) + young <= time.time()
    }
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(private(folder), bundle.FORMAT + packed(index) + code)


def _compiled(
    sources: Mapping[str, Source], path: Sequence[str], called: Collection[str]
) -> tuple[dict[str, Any], bytes]:
    """Compile everything; return the index, as `bundle.Finder` reads it, and all codes."""
    top = tuple(name for name in sources if "." not in name)
    within: defaultdict[str, set[str]] = defaultdict(set)
    modules, code, at_once = {}, bytearray(), AT_ONCE.union(called)
    for name, (source, is_package) in sources.items():
        (folder, _, _), (above, _, last) = source.rpartition("/"), name.rpartition(".")
        if is_package:
            within[folder].add("__init__")
        if above:
            within[folder.rpartition("/")[0] if is_package else folder].add(last)
        then = bundle.seen(source)
        bare = compile(_bare(Path(source).read_bytes()), source, "exec", dont_inherit=True)
        whole = without_columns(bare)
        places: Bodies = {}
        module = sys.modules.get(name) if called else None
        kept = put_off(whole, module, at_once, code, places) if module else whole
        data = shared(without_names(kept))
        bodies = len(code)
        code += packed(places)
        modules[name] = source, then, is_package, len(code), len(data), source_hash(bundle.KEY, data), bodies
        code += data
    index = {
        "top": top,
        "searched": _looked_into({folder or str(Path.cwd()): top for folder in path}),
        "path": bundle.searched(path, top, {}),
        "folders": _looked_into(within),
        "modules": modules,
        "patterns": patterns(),
        "called": len(code),
    }
    code += packed(tuple(called))
    return index, bytes(code)


def patterns() -> "list[bundle.Pattern]":
    """List the regular expressions that have been compiled in this process; to compile one takes Python 0.1 ms."""
    found = []
    for _, pattern, flags in [*re._cache]:  # type: ignore[attr-defined] # noqa: SLF001 - see `bundle.Finder.fill`
        parsed = _parser.parse(pattern, flags)
        state, groups = parsed.state, [None] * parsed.state.groups
        for name, number in state.groupdict.items():
            groups[number] = name
        code = [*map(int, _compiler._code(parsed, flags))]  # noqa: SLF001 - likewise
        parts = int(flags | state.flags), code, state.groups - 1, dict(state.groupdict), tuple(groups)
        found.append((pattern, int(flags), parts))
    return found


def put_off(
    code: CodeType, module: ModuleType, called: Collection[str], written: bytearray, places: Bodies
) -> CodeType:
    """Write the functions of a code, which have not been `called`, behind what is `written`; return it with stubs in their places.

    Only what `bundle.function_of` finds in the module, which is loaded here as it is there, and what nobody can tell from its stub: no
    generators that are asynchronous, nothing that has cells of others, and nothing that looks at who has called it.
    """
    inner: list[Any] = []
    for one in code.co_consts:
        inner.append(one)
        if not isinstance(one, CodeType):
            continue
        if not one.co_flags & _CO_OPTIMIZED:
            inner[-1] = put_off(one, module, called, written, places)  # the body of a class
            continue
        stub = _STUBS.get(one.co_flags & _KINDS)
        if (
            stub is None
            or one.co_freevars
            or "_getframe" in one.co_names
            or f"{module.__name__}:{one.co_qualname}" in called
            or not bundle.function_of(vars(module), one.co_qualname, one)
            or (one.co_name, one.co_firstlineno) in places
        ):
            continue
        data = packed(without_names(one))
        if len(data) >= LITTLE:
            inner[-1] = _named_as(stub, one)
            places[one.co_name, one.co_firstlineno] = one.co_qualname, len(written)
            written += data
    return code.replace(co_consts=tuple(inner))


def packed(value: Any) -> bytes:
    """Write a value, and before it how long that is, and its digest."""
    data = shared(value)
    return len(data).to_bytes(bundle.LENGTH, "little") + source_hash(bundle.KEY, data) + data


def _named_as(stub: CodeType, code: CodeType) -> CodeType:
    return stub.replace(
        co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno,
        co_name=code.co_name,
        co_qualname=code.co_name,
    )


def without_names(code: CodeType) -> CodeType:
    """Name a code, and those in it, as tracebacks do, and no variable that is but its own.

    The names of functions with their classes are a third of a megabyte; the others take the table of all names over a size at which Python
    makes it 0.2 MiB larger.
    """
    inner = tuple(without_names(one) if isinstance(one, CodeType) else one for one in code.co_consts)
    names = code.co_varnames
    if code.co_flags & _CO_OPTIMIZED and _LOOKING_AT_THEM.isdisjoint(code.co_names):
        arguments = code.co_argcount + code.co_kwonlyargcount + (code.co_flags & _CO_MORE).bit_count()
        names = names[:arguments] + tuple(
            name if name in code.co_cellvars else UNNAMED for name in names[arguments:]
        )
    return code.replace(co_consts=inner, co_qualname=code.co_name, co_varnames=names)


def without_columns(code: CodeType) -> CodeType:
    """Keep of a code, and of those in it, which instructions are of which line; see Objects/locations.md of CPython."""
    inner = code.co_consts
    if any(isinstance(one, CodeType) for one in inner):  # else it is shared with other codes
        inner = tuple(without_columns(one) if isinstance(one, CodeType) else one for one in inner)
    table, last = bytearray(), code.co_firstlineno
    for line, units in groupby(_lines(code)):
        length = sum(1 for _ in units)
        for rest in range(length, 0, -8):  # an entry is of eight units at most
            table.append(0x80 | (_NO_LINE if line is None else _LINE_ONLY) << 3 | min(rest, 8) - 1)
            if line is not None:
                table += _signed(line - last)
                last = line
    slim = code.replace(co_consts=inner, co_linetable=bytes(table))
    is_same = [*_lines(slim)] == [*_lines(code)]  # another Python may write it in another way
    return slim if is_same else code.replace(co_consts=inner)


def _lines(code: CodeType) -> Iterator[int | None]:
    """List the line of each unit of two bytes."""
    return (line for start, end, line in code.co_lines() for _ in range(start, end, 2))


def _signed(number: int) -> bytes:
    """Write a number six bits a byte, the lowest first, of which the very lowest is its sign."""
    left, written = -number << 1 | 1 if number < 0 else number << 1, bytearray()
    while left > _SIX_BITS:
        written.append(left & _SIX_BITS | _MORE)
        left >>= 6
    return bytes([*written, left])


def _changed(seen: "bundle.Seen") -> float:
    return seen[1] / 1e9 if seen else 0


def _looked_into(folders: Mapping[str, Iterable[str]]) -> "dict[str, bundle.Folder]":
    return {
        folder: (bundle.seen(folder), bundle.candidates(folder, names), tuple(names))
        for folder, names in folders.items()
    }


def _bare(source: bytes) -> ast.Module:
    """Parse a module and leave out the types of functions and its documentation, but for classes that somebody looks at while they are made."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.decorator_list:
            continue  # dataclasses would look into the class to write some
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            while node.body and _is_text(node.body[0]):
                del node.body[0]
            if first and not node.body:
                node.body.append(ast.copy_location(ast.Pass(), first))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return tree


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _replace(folder: Path, content: bytes) -> None:
    """Put a new file in the place of the old one, whole; where another process is about to, it is left to that one."""
    aside = folder / f".{bundle.NAME}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(aside, flags, 0o600), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file.fileno()), aside.lstat()):
            raise BlockingIOError("another process has just written it")
        file.truncate()
        file.write(content)
        file.flush()
        aside.replace(folder / bundle.NAME)
