"""Modules that are loaded when somebody uses them, not when a library says that it might.

asyncio, dbus-fast and others import them for what the service never does: to run programs, to read the introspection of
others, to encrypt, to look into functions for people who debug. A stand-in is in the place of each, and becomes the real one as soon
as something of it is used after the start. `pwmixer_dbus.start` begins anew without any of this where one does not fit.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec
from _sre import compile as compiled  # type: ignore[import-not-found] # private, as in `bundling`
from contextlib import contextmanager
from enum import EnumType
from types import CodeType, ModuleType

from pwmixer_dbus.startup import typed

TYPE_CHECKING = False  # to import it would load `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

_CO_COROUTINE = 0x80

_DIGITS = b"0123456789ABCDEFabcdef"

_SUCCESS, _UNICODE = 1, 32
"""What an expression ends with when it is compiled, and the flag of one for texts."""


def _is_coroutine_function(function: object) -> bool:
    """Say what the `inspect` function does of functions, methods, and what else signals are handled by."""
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & _CO_COROUTINE)


def _unquote(text: str) -> str:
    """Do what the `urllib.parse` function does, which the address of the bus has gone through."""
    plain, *quoted = text.encode().split(b"%")
    return b"".join((plain, *map(_after_sign, quoted))).decode("utf-8", "replace")


def _after_sign(quoted: bytes) -> bytes:
    digits = quoted[:2]
    if digits.strip(_DIGITS) or len(digits) < len("FF"):
        return b"%" + quoted
    return bytes.fromhex(digits.decode()) + quoted[2:]


def _compile(pattern: str | bytes, flags: int) -> Any:
    """Compile what `re` finds its types by, which is empty; any other that is not in the file of `bundle` needs what compiles."""
    if not pattern:
        return compiled(pattern, _UNICODE, [_SUCCESS], 0, {}, (None,))
    for name in "re._parser", "re._compiler":
        sys.modules[name]._real()  # noqa: SLF001 - it is one of ours
    return sys.modules["re._compiler"].compile(pattern, flags)


class _Signature:
    """What pulsectl asks of signatures, to show them to people who explore it: nothing."""

    POSITIONAL_OR_KEYWORD = None
    parameters: Mapping[str, object] = {}

    def __init__(self, *_of: object) -> None:
        pass

    def replace(self, **_changes: object) -> _Signature:
        return self


_ONE_OR_ALL = ("FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED")
_QUEUES = ("Queue", "PriorityQueue", "LifoQueue", "QueueFull", "QueueEmpty")
_STREAMS = (
    "StreamReader",
    "StreamWriter",
    "StreamReaderProtocol",
    "open_connection",
    "start_server",
    "open_unix_connection",
    "start_unix_server",
)

_GRAPH = (
    "capture_call_graph",
    "format_call_graph",
    "print_call_graph",
    "FrameCallGraphEntry",
    "FutureCallGraph",
)

LATER: Mapping[str, Mapping[str, Any]] = {
    "ast": {},  # dbus-fast: to read annotations of methods
    "asyncio.base_subprocess": {"BaseSubprocessTransport": object},  # asyncio: to run programs
    "asyncio.graph": {"__all__": _GRAPH},  # asyncio 3.14: to show who waits for whom; brings inspect
    "asyncio.queues": {"__all__": _QUEUES},  # asyncio: for whoever wants them
    "asyncio.sslproto": {},  # asyncio: where Python has ssl
    "asyncio.staggered": {},  # asyncio: to connect to one of many addresses
    "asyncio.streams": {"__all__": _STREAMS},  # likewise
    "asyncio.subprocess": {"__all__": ("create_subprocess_exec", "create_subprocess_shell")},  # likewise
    "concurrent.futures": {name: name for name in _ONE_OR_ALL},  # asyncio: for what runs in threads
    "ctypes._endian": {},  # ctypes: structures in which bytes are the other way round
    "dbus_fast.aio.proxy_object": {},  # dbus-fast: for those who call by its proxies
    "dbus_fast.annotations": {},  # dbus-fast: to read annotations of methods; brings dataclasses
    "dbus_fast.proxy_object": {},  # likewise
    "hashlib": {},  # dbus-fast: to remember introspections by their digests; brings OpenSSL
    "inspect": {
        "iscoroutinefunction": _is_coroutine_function
    },  # to look into functions; brings ast, dis and tokenize
    "linecache": {},  # asyncio: to print stacks; brings tokenize
    "ntpath": {},  # pathlib: for paths of Windows
    "pulsectl_asyncio.pa_asyncio_mainloop": {},  # pulsectl-asyncio: a main loop of its own, for which we have another
    "re._compiler": {},  # re: for expressions that are not compiled yet
    "re._parser": {},  # likewise
    "shutil": {},  # ctypes: to find libraries by running programs; brings all that compresses
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},  # asyncio: to run programs; brings locale
    "tempfile": {},  # ctypes: to find libraries by running programs; brings random
    "traceback": {},  # logging: to tell of exceptions
    "typing": {},  # to say what type checkers read
    "urllib.parse": {"unquote": _unquote},  # pathlib: to write a path as an address; brings ipaddress
    "xml.etree.ElementTree": {"Element": object},  # dbus-fast: to read the introspection of others
    "xml.parsers.expat": {},  # likewise
}
"""What comes later, with those of its values that are there before, as they are in the real one."""

AT_START: Mapping[str, Mapping[str, Any]] = {
    "inspect": {
        "signature": _Signature,
        "Parameter": _Signature,
        "get_annotations": lambda kind: dict(kind.__annotations__),  # dataclasses, from Python 3.13 on
    },
    "re._compiler": {"compile": _compile},
    "typing": typed.NAMES,
}
"""What is used while libraries are loaded; the real one is there for whoever uses it afterwards."""


IN_C: Mapping[str, str] = {"datetime": "_datetime"}
"""What Python has in C as well, by the same names: before Python 3.12, the other one is made first, and thrown away. For tomllib."""


def _of_expressions() -> dict[str, object]:
    """Return the flags and errors of regular expressions, which `re` takes from the module that compiles."""
    from re import _constants  # type: ignore[attr-defined] # noqa: PLC0415 - it begins to load this

    return {
        name: value
        for name, value in vars(_constants).items()
        if name.startswith("SRE_FLAG_") or isinstance(value, type)
    }


def _leave_numbers(_: EnumType, name: str, module: str, *__: object, **___: object) -> None:
    """Leave the numbers that a module has from C as they are, where Python has enumerations made of them."""
    vars(sys.modules[module])[name] = lambda number: number


def _asks_for_types_only() -> bool:
    """Whether the module that asks a stand-in is one of those that a service loads later; any other may look into types."""
    name: str = sys._getframe(2).f_globals.get("__name__", "")  # noqa: SLF001 - modules say this in no other way
    return name.partition(".")[0] in {"pwmixer_dbus", "tomllib"}


class _Later(ModuleType):
    """A stand-in. While all are `asleep`, whoever takes a name from one is given a function that wakes it when called."""

    asleep = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks for these, and does without
            raise AttributeError(name)
        if self.asleep:
            return self._when_called(name)
        if self.__name__ == "typing" and name in typed.NAMES and _asks_for_types_only():
            return typed.NAMES[name]
        return getattr(self._real(), name)

    def _when_called(self, name: str) -> Callable[..., Any]:
        def function(*values: object, **named: object) -> Any:
            return getattr(self._real(), name)(*values, **named)

        return function

    def _real(self) -> ModuleType:
        name = self.__name__
        if sys.modules[name] is self:
            was_asleep, _Later.asleep = _Later.asleep, False  # what it stands for may want values of others
            del sys.modules[name]
            if name in IN_C:
                sys.modules[name] = __import__(IN_C[name])
            __import__(name)
            self.__dict__.update(vars(sys.modules[name]))
            _Later.asleep = was_asleep
        return sys.modules[name]


class _Finder:
    """Finds a stand-in in the place of each module that is not loaded yet, while all are asleep."""

    def __init__(self) -> None:
        self.found: list[ModuleType] = []

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if _Later.asleep and name in LATER else None  # type: ignore[arg-type] # by its methods

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self.found.append(_Later(spec.name))
        return self.found[-1]

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__dict__.update({**LATER[name], **AT_START.get(name, {})})
        if name == "re._compiler":
            module.__dict__.update(_of_expressions())


@contextmanager
def put_off() -> Iterator[None]:
    """Put stand-ins into the places of what is not loaded yet, for what is loaded within the `with`."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    _Later.asleep = True
    convert = EnumType._convert_  # type: ignore[attr-defined] # what `socket` and `signal` call, for 150 numbers
    EnumType._convert_ = _leave_numbers  # type: ignore[attr-defined]
    try:
        yield
    finally:
        _Later.asleep = False
        EnumType._convert_ = convert  # type: ignore[attr-defined]
        sys.meta_path.remove(finder)
        sys.modules.update({name: _Later(name) for name in IN_C if name not in sys.modules})
        for stand_in in finder.found:
            for name in AT_START.get(stand_in.__name__, {}):
                delattr(stand_in, name)
