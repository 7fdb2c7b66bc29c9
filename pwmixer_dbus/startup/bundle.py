"""The byte code of all that a running service imports, in one file of the user's: less to find, to read and to keep.

`pwmixer_dbus.startup.bundling` writes it, without documentation and columns, which nobody asks a service for. The rule of this file: a
module comes from there only where the ordinary import would have found this very source, unchanged; for anything else, and
where anything about the file is odd, there is the ordinary import. It is loaded first, and does with what is in Python itself.

Of a function that an earlier start has not called, a module has only a stub. Whoever calls it has the code put into its place: the
function stays the same, and is from then on what it would have been.
"""

import marshal
import os
import stat
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from _imp import source_hash
from _sre import compile as compiled  # type: ignore[import-not-found] # private, as in `bundling`
from time import time_ns

TYPE_CHECKING = False  # to import it would load `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import CodeType, FrameType, FunctionType, ModuleType
    from typing import Any

    Seen = tuple[int, int, int, int] | None
    """What a file or folder is known by: when it was written and changed in any way (ns), size and number."""
    Pattern = tuple[str | bytes, int, tuple[Any, ...]]
    """A regular expression, its flags, and what it is made of when it has been compiled."""
    Folder = tuple[Seen, tuple[str, ...], tuple[str, ...]]
    """A folder as it was: what in it could be one of the modules that are looked for there, and the names of these."""

NAME = "bytecode"
FORMAT = b"pwmixer bytecode 5\n" + MAGIC_NUMBER + sys.version.encode() + b"\n"
"""How the file begins; that of another Python is another."""

LENGTH, DIGEST = 8, 8
"""Bytes of the two numbers that follow, little-endian: those of the index, which comes next, with all else after it."""

KEY = int.from_bytes(MAGIC_NUMBER, "little")
"""The key of digests, which tell damage, and nothing else."""


WRITER = "import sys; sys.path[:] = sys.argv[1:]; from pwmixer_dbus.startup.bundling import main; main()"


_Function: "Any" = type(lambda: None)
_Code: "Any" = type((lambda: None).__code__)
"""What `types` has, which is not loaded yet. (To call `compile` would make 119 types for syntax trees.)"""


class UnusableError(Exception):
    """Why the file is not used."""


class Finder:
    """Finds modules in the file, as an `importlib.abc.MetaPathFinder`.

    problem: why none of them, or not all, come from there; "" where all is well. opened_at: when that was, in ns since 1970.
    """

    def __init__(self, folder: str) -> None:
        """Open the file in a folder; "" is none."""
        self.folder = folder
        self.problem = ""
        self.opened_at = time_ns()
        self._file = self._start = -1
        self._modules: Mapping[str, tuple[str, Seen, bool, int, int, bytes, int]] = {}
        self._folders: Mapping[str, Folder] = {}
        self._patterns: Sequence[Pattern] = ()
        self._texts: dict[str, bytes] = {}
        self._executed: list[str] | None = []
        self._called: set[str] = set()
        self._called_before: int | None = None
        self._unchanged: dict[str, bool] = {}
        try:
            self._open()
        except (OSError, UnusableError, LookupError, TypeError, ValueError) as error:
            self.close()
            # the latter where another version of ours has written it
            self._give_up(f"{type(error).__name__}: {error}")

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, _target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """Find a module; None where it is not in the file, or not what it was."""
        if name not in self._modules:
            return None
        source, _, is_package, *_, bodies = self._modules[name]
        folder, _, _ = source.rpartition("/")
        if path is not None and list(path) != [folder.rpartition("/")[0] if is_package else folder]:
            self._give_up(f"{name} is looked for elsewhere")
            return None
        if self._executed is not None and not self._is_as_it_was(name):
            return None
        spec = ModuleSpec(name, Loader(name, source, self, bodies), origin=source, is_package=is_package)
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder)
        return spec

    def code(self, name: str) -> "CodeType | None":
        """Return the code of a module that is in the file; None where it is not any more, or damaged."""
        if name not in self._modules:
            return None
        *_, start, length, digest, _ = self._modules[name]
        code: CodeType | None = self._read(start, length, digest)
        return code

    def body(self, name: str, stub: "CodeType", bodies: int) -> "tuple[str, CodeType | None]":
        """Return the full name and the code of a function of a module that has been put off; None where it is damaged.

        bodies: where in the file it stands where those of the module are.
        """
        places = self._read_at(bodies) or {}
        qualname, start = places.get((stub.co_name, stub.co_firstlineno), ("", None))
        code: CodeType | None = None if start is None else self._read_at(start)
        if code is not None and self._executed is not None:
            self._called.add(f"{name}:{qualname}")
        return qualname, code

    def fill(self, expressions: "Any") -> None:
        """Put all regular expressions that modules compile when they are loaded into the cache of the module `re`."""
        try:
            for pattern, flags, parts in self._patterns:
                made = compiled(pattern, *parts)
                expressions._cache[type(pattern), pattern, flags] = made  # noqa: SLF001 - what `re` itself does
        except AttributeError:  # another Python may keep them in another place
            self.problem = "regular expressions cannot be made"
        self._patterns = ()

    def execute(self, text: str, names: "dict[str, Any]") -> None:
        """Do what `exec` does; a text that has been executed at an earlier start has been compiled."""
        if self._executed is not None:
            self._executed.append(text)
        compiled = self._texts.pop(text, None)
        exec(text if compiled is None else marshal.loads(compiled), names)  # noqa: S102, S302 - it is ours, and whole

    def learned(self) -> "tuple[list[str], set[str]]":
        """Return what has been executed and called up to now; the start is over, and what has been loaded or made is forgotten.

        What is there now to be loaded later is found from now on whatever becomes of its source: an upgrade replaces files under
        a service that runs, which is to go on as the one that was started.

        What has been called is `module:function`, of this start and of those from which the file is; where that is as it should be, of this one.
        """
        self._modules = {
            name: found
            for name, found in self._modules.items()
            if name not in sys.modules and self._is_as_it_was(name)
        }
        if self.problem and self._called_before is not None:
            self._called.update(self._read_at(self._called_before) or ())
        learned = self._executed or [], self._called
        self._executed, self._called, self._texts = None, set(), {}
        self._end_noting()
        self._folders, self._unchanged = {}, {}
        return learned

    def close(self) -> None:
        """Close the file; nothing is found in it any more."""
        self._end_noting()
        self._modules = {}
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _give_up(self, problem: str) -> None:
        """Say why the file is to be written again, and note meanwhile what is called in this start: half as long again."""
        self.problem = problem
        if self.folder and self._executed is not None:
            sys.setprofile(self._note)

    def _note(self, frame: "FrameType", event: str, _: object) -> None:
        if event == "call":
            self._called.add(f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}")

    def _end_noting(self) -> None:
        if sys.getprofile() == self._note:
            sys.setprofile(None)

    def _read_at(self, start: int) -> "Any":
        """Return what has been written by `bundling.packed`; None where it is damaged."""
        head = os.pread(self._file, LENGTH + DIGEST, self._start + start)
        return self._read(start + len(head), int.from_bytes(head[:LENGTH], "little"), head[LENGTH:])

    def _read(self, start: int, length: int, digest: bytes) -> "Any":
        data = os.pread(self._file, length, self._start + start)
        if source_hash(KEY, data) != digest:
            self.problem = "it is damaged"
            return None
        return marshal.loads(data)  # noqa: S302 - it is ours, see `_is_private`, and whole

    def _is_as_it_was(self, name: str) -> bool:
        source, then, is_package, *_ = self._modules[name]
        folder, _, _ = source.rpartition("/")
        places = [folder] if is_package else []
        if "." in name:
            places.append(folder.rpartition("/")[0] if is_package else folder)
        if seen(source) == then and all(map(self._is_unchanged, places)):
            return True
        self._give_up(f"{source} is not what it was")
        return False

    def _is_unchanged(self, folder: str) -> bool:
        if folder not in self._unchanged:
            then, found, names = self._folders[folder]
            self._unchanged[folder] = seen(folder) == then or candidates(folder, names) == found
        return self._unchanged[folder]

    def _open(self) -> None:
        if not self.folder:
            raise UnusableError("there is no home")
        parent = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._file = os.open(NAME, flags, dir_fd=parent)
            found = os.fstat(self._file)
            if not (_is_private(os.fstat(parent)) and _is_private(found) and stat.S_ISREG(found.st_mode)):
                raise UnusableError("others may have written it")
        finally:
            os.close(parent)
        index = self._index(found.st_size)
        self._patterns, self._texts = index["patterns"], index["texts"]
        if searched(sys.path, index["top"], index["searched"]) != index["path"]:
            raise UnusableError("modules are looked for elsewhere")
        self._folders, self._modules, self._called_before = (
            index["folders"],
            index["modules"],
            index["called"],
        )

    def _index(self, size: int) -> "Mapping[str, Any]":
        head = os.pread(self._file, len(FORMAT) + LENGTH + DIGEST, 0)
        length = int.from_bytes(head[len(FORMAT) : -DIGEST], "little")
        if not head.startswith(FORMAT) or length > size:
            raise UnusableError("it is of another Python or version, or damaged")
        data = os.pread(self._file, length, len(head))
        if source_hash(KEY, data) != head[-DIGEST:]:
            raise UnusableError("it is damaged")
        self._start = len(head) + length
        index: Mapping[str, Any] = marshal.loads(data)  # noqa: S302 - it is ours, and whole
        return index


class Loader(SourceFileLoader):
    """Loads a module from the file; all that can be asked about it is answered as for its source."""

    def __init__(self, name: str, path: str, finder: Finder, bodies: int) -> None:
        super().__init__(name, path)
        self._finder = finder
        self._bodies = bodies

    def get_code(self, fullname: str) -> "CodeType | None":
        """Return the code of the module, of its source where the file is damaged; raises ImportError where that is another by now."""
        return self._finder.code(fullname) or self._of_source(fullname)

    def __call__(self, values: "tuple[Any, ...]", named: "dict[str, Any]") -> "Any":
        """Do what a function does that has been put off; only its stub calls this, and only once."""
        caller = sys._getframe(1)  # noqa: SLF001 - the stub
        stub = caller.f_code
        qualname, code = self._finder.body(self.name, stub, self._bodies)
        if code is None and (code := _within(self._of_source(self.name), stub)) is not None:
            qualname = code.co_qualname
        function = function_of(caller.f_globals, qualname, stub)
        if code is None or function is None:
            raise ImportError(
                f"{stub.co_name} cannot be read any more; start the service again", name=self.name
            )
        function.__code__ = code
        return function(*values, **named)

    def _of_source(self, name: str) -> "CodeType | None":
        found = seen(self.path)
        if found is None or found[1] > self._finder.opened_at:
            raise ImportError(f"{name} cannot be read any more; start the service again", name=name)
        return super().get_code(name)

    def exec_module(self, module: "ModuleType") -> None:
        """Run the code of the module."""
        super().exec_module(module)
        if module.__name__ == "re":
            self._finder.fill(module)


def function_of(names: "Mapping[str, Any]", qualname: str, code: "CodeType") -> "FunctionType | None":
    """Find a function by its full name and its code, or a stub of that, among the names of its module; None where it is not there."""
    found: Any = None
    for name in qualname.split("."):
        found = names.get(name)
        names = vars(found) if isinstance(found, type) else {}
    parts = (found.fget, found.fset, found.fdel) if isinstance(found, property) else (found,)
    functions = (function for part in parts if (function := _unwrapped(part)) is not None)
    return next((function for function in functions if _is_same(function.__code__, code)), None)


def _unwrapped(found: "Any") -> "FunctionType | None":
    while not isinstance(found, _Function) and hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    return found if isinstance(found, _Function) else None


def _is_same(code: "CodeType", other: "CodeType") -> bool:
    return (code.co_name, code.co_firstlineno) == (other.co_name, other.co_firstlineno)


def _within(code: "CodeType | None", stub: "CodeType") -> "CodeType | None":
    """Find what a stub stands for within a code."""
    inner = [one for one in code.co_consts if isinstance(one, _Code)] if code else []
    found = (one if _is_same(one, stub) else _within(one, stub) for one in inner)
    return next(filter(None, found), None)


def folder_of(environment: "Mapping[str, str]") -> str:
    """Name the folder that the file is in, by the XDG Base Directory Specification; "" where there is no home."""
    cache, home = environment.get("XDG_CACHE_HOME", ""), environment.get("HOME", "")
    base = cache if cache.startswith("/") else f"{home}/.cache"
    return f"{base}/pwmixer" if base.startswith("/") and (home or cache) else ""


def writer() -> tuple[str, ...]:
    """Return the command that writes the file for a process that has this `sys.path`.

    Its standard input is what that one has `learned`, by `marshal`.
    """
    path = (folder or os.getcwd() for folder in sys.path)  # noqa: PTH109 - pathlib is not loaded yet
    return sys.executable, "-I", "-X", "no_debug_ranges", "-c", WRITER, *path


def seen(path: str) -> "Seen":
    """Look at a file or folder; None where there is none. No program can set when something was changed in any way."""
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib is not loaded yet
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def candidates(folder: str, names: "Iterable[str]") -> tuple[str, ...]:
    """List what in a folder could be one of these modules, by all suffixes that there are."""
    try:
        there = os.listdir(folder)  # noqa: PTH208 - likewise
    except NotADirectoryError:  # an archive may have anything
        return (repr(seen(folder)),)
    except OSError:
        return ()
    wanted = frozenset(names)
    return tuple(sorted(name for name in there if name.partition(".")[0] in wanted))


def searched(
    path: "Sequence[str]", names: "Iterable[str]", known: "Mapping[str, Folder]"
) -> list[tuple[str, tuple[str, ...]]]:
    """List the folders of a `sys.path` in which something could be one of these modules, in order, each with that.

    known: folders in which need not be looked while they are as they were.
    """
    found = []
    for folder in dict.fromkeys(folder or os.getcwd() for folder in path):  # noqa: PTH109 - likewise
        then, there, _ = known.get(folder, (None, (), ()))
        if then is None or seen(folder) != then:
            there = candidates(folder, names)
        if there:
            found.append((folder, there))
    return found


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
