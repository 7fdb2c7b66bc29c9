"""What stands in for a module is told from it by nobody who uses it, and where it does not fit, the program starts without."""

import ast
import importlib
import inspect
import json
import subprocess
import sys
import typing
from functools import partial
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session import completed

from pwmixer_dbus import __version__
from pwmixer_dbus.startup import later, typed

WITH_STAND_INS = """
import json, sys
from pwmixer_dbus.startup import later
with later.put_off():
    import hashlib
    import xml.etree.ElementTree as ET
    from ast import literal_eval
    from subprocess import PIPE
asleep = [type(sys.modules[name]).__name__ for name in ("hashlib", "xml.etree.ElementTree", "ast", "subprocess")]
said = [hashlib.sha256(b"x").hexdigest()[:4], ET.fromstring("<a b='c'/>").get("b"), literal_eval("[1]"), PIPE]
awake = [type(sys.modules[name]).__name__ for name in ("hashlib", "xml.etree.ElementTree", "ast", "subprocess")]
try:
    hashlib.there_is_no_such_name
except AttributeError:
    said.append("refused")
print(json.dumps([asleep, said, awake]))
"""

WITH_ONE_THAT_DOES_NOT_FIT = """
import sys
from pwmixer_dbus.startup import later
later.LATER = {**later.LATER, "pathlib": {}}
sys.argv = ["pwmixer-dbus", "--version"]
from pwmixer_dbus.start import main
main()
"""


WITH_TYPES = """
import json, sys
from pwmixer_dbus.startup import later
with later.put_off():
    import typing
    from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar, Union, cast
    class Point(NamedTuple):
        "A place."
        x: int
        y: int = 2
        @property
        def both(self): return self.x + self.y
    names = {"__module__": "of.another", "__qualname__": "Within.Pair", "b": 3}
    Pair = type(NamedTuple)("Pair", (), {**names, "__annotate_func__": lambda form: {"a": int, "b": int}})
    class Known(TypedDict, total=False):
        name: str
    T = TypeVar("T", bound="Later | None")
    class Box(Generic[T]):
        __slots__ = ("held",)
    class Opener(Protocol[T]):
        def open(self, box: Union[Box[T], None]) -> "Later": ...
    Pairs = tuple[T, list[T]]
    held = [Point(1), Point(1, y=3).both, Point._fields, Point.__name__, Pair(1), Known(name="a"), type(Known()).__name__,
        cast(int, "5"), Box[int].__name__, Opener.__mro__ == (Opener, object), str(Pairs[int]), hasattr(Box(), "__dict__")]
asleep = type(sys.modules["typing"]).__name__
ours = {"__name__": "pwmixer_dbus.outlets.late"}
exec("from typing import Any, NamedTuple", ours)
still = [type(sys.modules["typing"]).__name__, ours["NamedTuple"] is NamedTuple]
from typing import NamedTuple as Real, get_type_hints
awake = type(sys.modules["typing"]).__name__
print(json.dumps([held, asleep, still, awake, Real is NamedTuple, get_type_hints(type("Of", (), {"__annotations__": {"a": "int"}})) == {"a": int}]))
"""

WITH_NUMBERS = """
import json
from pwmixer_dbus.startup import later
import sys
sys.modules["ssl"] = None
with later.put_off():
    import signal, socket
before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
with socket.socket(socket.AF_UNIX) as one:
    kinds = [one.family == socket.AF_UNIX, one.type == socket.SOCK_STREAM, type(one.family).__name__]
import enum
WAY = 7
enum.IntEnum._convert_("Way", "__main__", lambda name: name == "WAY")
print(json.dumps([before == signal.SIG_DFL, handler == signal.SIG_IGN, type(signal.SIGTERM).__name__, kinds, Way(7).name, WAY]))
"""


WITH_EXPRESSIONS = """
import sys
assert "re" not in sys.modules
from pwmixer_dbus.startup import later
with later.put_off():
    import re
    asleep = [type(sys.modules[name]).__name__ for name in ("re._compiler", "re._parser")]
    if sys.argv[1:]:
        re.compile("a|b")
still = type(sys.modules["re._compiler"]).__name__
said = [isinstance(re.compile("(a)"), re.Pattern), isinstance(re.match(b"A", b"a", re.I), re.Match), re.sub("(a)", r"<\\1>", "ab")]
try:
    re.compile("(")
except re.error:
    said.append("refused")
awake = type(sys.modules["re._compiler"]).__name__
import json
from re import _compiler, _parser
print(json.dumps([asleep, still, said, awake, re._compiler is _compiler, re._parser is _parser]))
"""


WITH_TIMES = """
import json, sys
from pwmixer_dbus.startup import later
with later.put_off():
    pass
before = type(sys.modules["datetime"]).__name__
import tomllib
at = tomllib.loads("at = 2026-01-02T03:04:05Z")["at"]
import datetime, _datetime
print(json.dumps([before, at.isoformat(), at.tzinfo is datetime.UTC, datetime.timedelta is _datetime.timedelta,
    datetime.datetime.strptime("2026", "%Y").year, datetime is _datetime]))
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return completed(sys.executable, "-c", program, *arguments, check=True)


def test_a_stand_in_becomes_the_real_one_when_it_is_used() -> None:
    asleep, said, awake = json.loads(run(WITH_STAND_INS).stdout)
    assert asleep == ["_Later"] * 4
    assert said == ["2d71", "c", [1], subprocess.PIPE, "refused"]
    assert awake == ["module", "module", "module", "_Later"]


@pytest.mark.parametrize(("arguments", "still"), [((), "_Later"), (("at once",), "module")])
def test_what_compiles_expressions_comes_with_the_first_that_is_new(
    arguments: tuple[str, ...], still: str
) -> None:
    assert json.loads(run(WITH_EXPRESSIONS, *arguments).stdout) == [
        ["_Later"] * 2,
        still,
        [True, True, "<a>b", "refused"],
        "module",
        True,
        True,
    ]


def test_what_is_there_in_c_is_not_made_in_python_before() -> None:
    assert json.loads(run(WITH_TIMES).stdout) == [
        "_Later",
        "2026-01-02T03:04:05+00:00",
        True,
        True,
        2026,
        True,
    ]


@pytest.mark.parametrize("name", later.IN_C)
def test_what_is_there_in_c_has_all_names(name: str) -> None:
    real, in_c = importlib.import_module(name), importlib.import_module(later.IN_C[name])
    assert {*real.__all__} <= {*vars(in_c)}


def test_types_that_say_nothing_make_the_same_classes() -> None:
    held, asleep, still, awake, *real = json.loads(run(WITH_TYPES).stdout)
    point = [[1, 2], 4, ["x", "y"], "Point", [1, 3]]  # the last one as Python 3.14 has annotations
    assert held == [*point, {"name": "a"}, "dict", "5", "Box", True, "tuple[int, list[int]]", False]
    assert (asleep, still) == ("_Later", ["_Later", True])
    assert (awake, real) == ("module", [False, True])


def test_types_that_say_nothing_are_asked_for_by_names_that_there_are() -> None:
    assert {name for name in typed.NAMES if not hasattr(typing, name)} == set()


def test_numbers_of_the_system_stay_numbers_while_the_service_is_loaded() -> None:
    assert json.loads(run(WITH_NUMBERS).stdout) == [True, True, "int", [True, True, "int"], "WAY", 7]


def test_where_a_stand_in_does_not_fit_the_program_starts_without() -> None:
    done = run(WITH_ONE_THAT_DOES_NOT_FIT)
    assert done.stdout == f"pwmixer-dbus {__version__}\n"
    assert "starts again with PWMIXER_PLAIN=1" in done.stderr
    assert "Traceback" not in done.stderr


NAMED = ["subprocess", "concurrent.futures", "asyncio.queues", "asyncio.streams", "asyncio.subprocess"]
if sys.version_info >= (3, 14):
    NAMED.append("asyncio.graph")


@pytest.mark.parametrize("name", NAMED)
def test_the_values_that_are_there_before_are_those_of_the_real_one(name: str) -> None:
    real = importlib.import_module(name)
    for known, value in later.LATER[name].items():
        assert value == getattr(real, known)


def test_what_is_told_of_the_start_is_of_something_that_comes_later() -> None:
    assert {name for name in later.AT_START if name not in later.LATER} == set()


@given(st.text("%aF0/ é=", max_size=12))
def test_addresses_are_read_as_urllib_does(text: str) -> None:
    assert later.LATER["urllib.parse"]["unquote"](text) == unquote(text)


async def _asynchronous() -> None: ...


class _Object:
    async def asynchronous(self) -> None: ...

    def plain(self) -> None: ...


@pytest.mark.parametrize(
    "function", [_asynchronous, _Object().asynchronous, _Object().plain, partial(print), print, ast.parse, 5]
)
def test_functions_are_told_apart_as_inspect_does(function: object) -> None:
    found = later.LATER["inspect"]["iscoroutinefunction"](function)
    assert found == inspect.iscoroutinefunction(function)
