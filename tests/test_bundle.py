"""A module comes from the file of byte code only where the ordinary import would find the very same, and nothing of it is missed."""

import ast
import asyncio
import importlib.resources
import inspect
import marshal
import os
import re
import shutil
import sys
import traceback
from _imp import source_hash
from collections.abc import Callable, Collection, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pwmixer_dbus.startup import bundle, bundling

SINGLE = '''\
"""What it is for."""

from __future__ import annotations

class Plain:
    """Nothing but this."""

class Thing:
    """A thing."""

    "a second text"

    @property
    def half(self):
        """Return half."""
        assert not self, "told"
        return 1 / 2

def fail(at):

    return (1 +
            at /
            0)

VALUE = 1111
'''
VARIABLES = """
def plain(first, /, second=2, *rest, third, **named):
    more, shared = [first, *rest], sum((first, second, *rest, third))
    def within():
        nonlocal shared
        shared += 1
        return shared
    for one in more:
        last = one
    return (more, shared), within

def looking(first):
    second = first + 1
    return locals()

def early():
    if not early:
        late = 1
    return late

class Named:
    def __init_subclass__(cls):
        super().__init_subclass__()
        cls.seen = cls

class Named(Named):
    pass
"""
PUT_OFF = """\
import functools, sys

def wordy(text):
    words = [word.strip(",.;:").capitalize() for word in text.split() if word not in ("and", "or", "nor")]
    return " ".join(words) + f" of {__name__}, which has {len(words)} words in {sorted(map(len, words))!r}"

def plain(first, /, second=2, *rest, third, **named):
    'Do much with all kinds of values.'
    if not first:
        raise ValueError(wordy("nothing and nobody"))
    return (first, second, rest, third, named, "a long text, so that this is worth being put off")

def coming(first):
    while first:
        yield (first, wordy("a generator, which everybody can tell from a function that is none, by its flags"))
        first -= 1

async def each(first):
    yield (first, wordy("an asynchronous generator, for which there is no stub, since none can do what it does"))

async def waited(first):
    return wordy("a coroutine function, which is handled in another way by who asks") + str(first * 2)

def who():
    return sys._getframe(1).f_code.co_name + wordy("somebody") + "a long text, so that this might be put off"

@functools.lru_cache
def kept(first):
    return (first, wordy("of a decorated function"), "a long text, so that this is worth being put off", [*"abc"])

class Base:
    def inherited(self, more):
        return (type(self).__name__, more, wordy("an inherited method"), "a long text, so that this may be put off")

class Thing(Base):
    def inherited(self, more):
        return ("over", *super().inherited(more), wordy("with a cell"), "a long text, so that this may be put off")

    @property
    def half(self):
        return (1 / 2, wordy("of a property, which is called like a value"), "a long text, so that this is put off")

    @half.setter
    def half(self, value):
        self.doubled = (2 * value, wordy("of its other half"), "a long text, so that this is worth being put off")

    @staticmethod
    def alone(first, second=2):
        return (first, second, wordy("of a static method"), "a long text, so that this is worth being put off")

    @classmethod
    def of(cls, first):
        return (cls.__name__, first, wordy("of a class method"), "a long text, so that this is worth being put off")
"""
CALLED = {"bundled_single:who"}
NAMES = ("bundled_single", "bundled", "bundled.part")


class Place:
    """A folder with modules, one that is searched before it, and one for the file."""

    def __init__(self, base: Path) -> None:
        self.early, self.site, self.cache = base / "early", base / "site", base / "cache" / "pwmixer"
        self.single, self.package = self.site / "bundled_single.py", self.site / "bundled"
        self.package.mkdir(parents=True)
        self.early.mkdir()
        self.single.write_text(SINGLE)
        (self.package / "__init__.py").write_text("WHO = 'package'\n")
        (self.package / "part.py").write_text("WHO = 'part'\n")
        (self.package / "table.txt").write_text("of data")
        self.file = self.cache / bundle.NAME
        self.problem = ""
        self.finder = bundle.Finder("")

    def write(self, called: Collection[str] = ()) -> None:
        """Write the file for all of the modules."""
        self.load("bundled_single")
        self.load("bundled.part", forget=False)
        sources = bundling.sources_of({name: sys.modules[name] for name in NAMES}, sys.path)
        assert sources.keys() == set(NAMES)
        bundling.write(self.cache, sources, sys.path, called=called, young=0)

    def load(self, name: str, *, forget: bool = True) -> ModuleType:
        """Import a module as a process does that has just been started."""
        if forget:
            for known in [known for known in sys.modules if known.partition(".")[0] in NAMES]:
                del sys.modules[known]
        importlib.invalidate_caches()
        finder = bundle.Finder(str(self.cache))
        sys.meta_path.insert(0, finder)
        try:
            return importlib.import_module(name)
        finally:
            sys.meta_path.remove(finder)
            self.problem = finder.problem
            self.finder.close()
            self.finder = finder  # from which functions come that are put off

    def is_from_file(self, name: str) -> bool:
        """Whether a module comes from the file."""
        return isinstance(self.load(name).__loader__, bundle.Loader)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.setattr(sys, "path", [str(made.early), str(made.site), *sys.path])
    made.write()
    known = {*sys.modules}
    yield made
    made.finder.close()
    for name in {*sys.modules} - known | {*NAMES} & sys.modules.keys():
        del sys.modules[name]


def test_all_that_can_be_asked_of_a_module_is_answered_as_ever(place: Place) -> None:
    single = place.load("bundled_single")
    assert isinstance(single.__loader__, bundle.Loader)
    assert place.problem == ""
    assert single.VALUE == 1111
    assert single.__file__ == str(place.single)
    assert inspect.getsource(single.Thing.half.fget).splitlines()[1].strip() == "def half(self):"
    part = place.load("bundled.part")
    assert (part.WHO, part.__package__, part.__file__) == ("part", "bundled", str(place.package / "part.py"))
    assert importlib.resources.files("bundled").joinpath("table.txt").read_text() == "of data"
    assert sys.modules["bundled"].__path__ == [str(place.package)]


def test_documentation_and_columns_are_left_out_and_nothing_else(place: Place) -> None:
    single = place.load("bundled_single")
    assert (single.__doc__, single.Plain.__doc__, single.Thing.__doc__) == (None, None, None)
    assert single.Thing.half.fget.__doc__ is None
    assert (single.Thing.__qualname__, single.Thing.half.fget.__qualname__) == ("Thing", "half")
    with pytest.raises(AssertionError, match="told"):
        _ = single.Thing().half
    with pytest.raises(ZeroDivisionError) as raised:
        single.fail(1)
    assert (
        traceback.extract_tb(raised.value.__traceback__)[-1].lineno
        == SINGLE.splitlines().index("            at /") + 1
    )
    assert {columns[2] for columns in single.fail.__code__.co_positions()} == {None}


def test_of_functions_the_types_are_left_out() -> None:
    bare = bundling._bare(b"def f(a: int = 1) -> str: pass")
    assert ast.unparse(bare).splitlines()[0] == "def f(a=1):"


def test_only_variables_that_somebody_else_knows_keep_their_names() -> None:
    names: dict[str, Any] = {}
    exec(bundling.without_names(compile(VARIABLES, "variables", "exec")), names)  # noqa: S102 - as the import does
    first, second = names["plain"](1, 2, 3, third=4, more=5)
    assert (first, second()) == (([1, 3], 10), 11)
    code = names["plain"].__code__
    assert code.co_varnames == ("first", "second", "third", "rest", "named", *[bundling.UNNAMED] * 4)
    assert code.co_cellvars == ("shared",)
    assert names["looking"](1) == {"first": 1, "second": 2}
    assert names["Named"].seen is names["Named"]
    with pytest.raises(UnboundLocalError, match=bundling.UNNAMED):
        names["early"]()


@pytest.mark.parametrize("module", [bundle, bundling, traceback, inspect])
def test_each_instruction_keeps_its_line(module: ModuleType) -> None:
    code = compile(inspect.getsource(module), "some", "exec")
    slim = bundling.without_columns(code)
    codes = [(code, slim)]
    for plain, bare in codes:
        lines = [line for start, end, line in plain.co_lines() for _ in range(start, end, 2)]
        assert [line for start, end, line in bare.co_lines() for _ in range(start, end, 2)] == lines
        assert len(bare.co_linetable) <= len(plain.co_linetable)
        inner = zip(plain.co_consts, bare.co_consts, strict=True)
        codes += [(one, other) for one, other in inner if hasattr(one, "co_lines")]
    assert len(codes) > 5
    whole, short = (sum(len(code.co_linetable) for code in kind) for kind in zip(*codes, strict=True))
    assert short < whole / 2


def test_regular_expressions_are_made_as_they_are_compiled(place: Place) -> None:
    re.purge()
    wanted = (
        (r"(?P<a>\w+)-(\d)(?(2)x|y)", 0),
        (r"[^\W\d_ß]+?(?i:ä|Σ)", re.IGNORECASE | re.ASCII),
        (rb"(?s:.)\x00", 0),
    )
    for pattern, flags in wanted:
        re.compile(pattern, flags)
    place.write()
    compiled, empty = {**re._cache}, SimpleNamespace(_cache={})  # type: ignore[attr-defined]
    finder = bundle.Finder(str(place.cache))
    finder.fill(empty)
    finder.close()
    assert empty._cache.keys() >= {(type(pattern), pattern, int(flags)) for pattern, flags in wanted}
    for key, made in empty._cache.items():
        assert made == compiled[key]
        assert (made.groups, made.groupindex) == (compiled[key].groups, compiled[key].groupindex)
    assert empty._cache[str, wanted[0][0], 0].match("ab-1x").groupdict() == {"a": "ab"}


def test_what_is_executed_at_a_start_is_compiled_at_the_next(place: Place) -> None:
    texts = ["def double(a): return 2 * a", "def fail(a): return (a /\n 0)"]
    sources = {"bundled_single": (str(place.single), False)}
    bundling.write(place.cache, sources, sys.path, texts, young=0)
    finder, names = bundle.Finder(str(place.cache)), dict[str, Any]()
    for text in (*texts, "def other(a): return a"):
        finder.execute(text, names)
    assert (names["double"](4), names["other"](5)) == (8, 5)
    with pytest.raises(ZeroDivisionError) as raised:
        names["fail"](1)
    assert traceback.extract_tb(raised.value.__traceback__)[-1].lineno == 1
    assert {columns[2] for columns in names["double"].__code__.co_positions()} == {None}
    assert {columns[2] for columns in names["other"].__code__.co_positions()} != {None}
    assert finder.learned()[0] == [*texts, "def other(a): return a"]
    finder.execute(texts[0], names)
    assert names["double"](4) == 8
    assert finder.learned()[0] == []
    finder.close()


def is_put_off(function: Any) -> bool:
    return "__loader__" in function.__code__.co_names


def of_methods(module: Any) -> dict[str, Any]:
    """List the functions of PUT_OFF that can be put off."""
    thing = vars(module.Thing)
    return {
        "wordy": module.wordy,
        "plain": module.plain,
        "coming": module.coming,
        "waited": module.waited,
        "kept": module.kept.__wrapped__,
        "inherited": module.Base.inherited,
        "half": thing["half"].fget,
        "other half": thing["half"].fset,
        "alone": thing["alone"].__func__,
        "of": thing["of"].__func__,
    }


def used(module: Any) -> list[object]:
    """Call all of PUT_OFF."""
    thing = module.Thing()
    thing.half = 4

    async def called() -> object:
        return [await module.waited(3), *[one async for one in module.each(1)]]

    with pytest.raises(ValueError, match="Nothing Nobody of bundled_single") as raised:
        module.plain(0, third=1)
    with pytest.raises(TypeError) as refused:
        module.plain()
    return [
        module.plain(1, third=3),
        module.plain(1, 2, 3, third=4, values=5, named=6),
        [*module.coming(2)],
        asyncio.run(called()),
        module.who(),
        module.kept(1),
        module.Base().inherited("more"),
        thing.inherited("more"),
        thing.half,
        thing.doubled,
        thing.alone(1),
        module.Thing.of(1),
        str(refused.value),
        [entry.lineno for entry in traceback.extract_tb(raised.value.__traceback__)][-1],
    ]


def test_what_has_not_been_called_is_put_off_until_somebody_calls_it(place: Place) -> None:
    place.single.write_text(PUT_OFF)
    place.write()
    whole = place.load("bundled_single")
    assert not any(map(is_put_off, of_methods(whole).values()))
    expected = used(whole)
    place.write(called=CALLED)
    module = place.load("bundled_single")
    functions = of_methods(module)
    assert [name for name, function in functions.items() if not is_put_off(function)] == []
    assert inspect.iscoroutinefunction(module.waited)
    assert inspect.isgeneratorfunction(module.coming)
    others = (module.each, module.who, module.Thing.inherited)
    assert not any(map(is_put_off, others))
    for _ in range(2):
        assert used(module) == expected
    assert of_methods(module) == functions
    for name, function in functions.items():
        assert not is_put_off(function)
        assert function.__code__ == of_methods(whole)[name].__code__


def test_what_is_called_while_it_starts_is_not_put_off_the_next_time(place: Place) -> None:
    place.single.write_text(PUT_OFF)
    place.write(called=CALLED)
    place.load("bundled_single").plain(1, third=3)
    place.finder.problem = "something of the file is not what it was"
    _, called = place.finder.learned()
    assert called == {*CALLED, "bundled_single:plain"}
    place.write(called=called)
    module = place.load("bundled_single")
    assert (is_put_off(module.wordy), is_put_off(module.plain)) == (True, False)


def test_where_there_is_no_file_it_is_noted_what_is_called(place: Place) -> None:
    place.file.unlink()
    single = place.load("bundled_single")
    with pytest.raises(ZeroDivisionError):
        single.fail(1)
    _, called = place.finder.learned()
    assert "bundled_single:fail" in called
    assert sys.getprofile() is None


@pytest.mark.parametrize("name", ["plain", "Base.inherited", "Thing.half"])
def test_a_function_whose_code_is_damaged_comes_from_its_source(place: Place, name: str) -> None:
    place.single.write_text(PUT_OFF)
    place.write(called=CALLED)
    module = place.load("bundled_single")
    code = of_methods(module)[name.rpartition(".")[2]].__code__
    whole, bodies = place.file.read_bytes(), place.finder._read_at(vars(module.__loader__)["_bodies"])
    at = (
        place.finder._start + bodies[code.co_name, code.co_firstlineno][1] + bundle.LENGTH + bundle.DIGEST + 5
    )
    with place.file.open("r+b") as file:
        file.seek(at)
        file.write(bytes([whole[at] ^ 0x55]))
    called = {
        "plain": lambda: module.plain(1, third=3)[0],
        "Base.inherited": lambda: module.Base().inherited(1)[1],
    }
    assert called.get(name, lambda: 2 * module.Thing().half[0])() == 1
    assert place.finder.problem == "it is damaged"


@pytest.mark.parametrize(
    "upgrade",
    [
        lambda file: file.write_text(PUT_OFF.replace("return (first, second", "return (second, first")),
        lambda file: file.write_text(""),
        lambda file: file.write_text("=="),
        lambda file: file.unlink(),
    ],
)
def test_a_function_that_can_be_read_nowhere_any_more_is_an_error_that_says_what_to_do(
    place: Place, upgrade: Callable[[Path], object]
) -> None:
    """What is in the place of its source by now does not belong to the rest."""
    place.single.write_text(PUT_OFF)
    place.write(called=CALLED)
    module = place.load("bundled_single")
    os.truncate(place.file, 0)
    while place.single.stat().st_ctime_ns <= place.finder.opened_at:  # the times of files are coarse
        place.single.touch()
    upgrade(place.single)
    for cached in place.site.rglob("*.pyc"):
        cached.unlink()
    with pytest.raises(ImportError, match="bundled_single cannot be read any more; start the service again"):
        module.plain(1, third=3)


def test_what_is_there_when_the_start_is_over_is_loaded_whatever_becomes_of_its_source(place: Place) -> None:
    for known in NAMES:
        del sys.modules[known]
    finder = bundle.Finder(str(place.cache))
    finder.learned()
    place.single.write_text("WHO = 'another version'\n")
    place.file.unlink()
    shutil.rmtree(place.package)
    sys.meta_path.insert(0, finder)
    try:
        single, part = map(importlib.import_module, ("bundled_single", "bundled.part"))
    finally:
        sys.meta_path.remove(finder)
        finder.close()
    assert (single.VALUE, part.WHO) == (1111, "part")


def test_what_has_changed_by_the_end_of_the_start_is_imported_as_it_is_then(place: Place) -> None:
    for known in NAMES:
        del sys.modules[known]
    finder = bundle.Finder(str(place.cache))
    place.single.write_text("WHO = 'another version'\n")
    finder.learned()
    assert "bundled_single.py is not what it was" in finder.problem
    assert finder.find_spec("bundled_single") is None
    assert finder.find_spec("bundled") is not None
    finder.close()


def test_what_has_been_loaded_when_the_start_is_over_can_still_be_asked_for_its_code(place: Place) -> None:
    single = place.load("bundled_single")
    finder = bundle.Finder(str(place.cache))
    finder.learned()
    assert finder.find_spec("bundled_single") is None
    assert isinstance(finder.find_spec("bundled").loader, bundle.Loader)  # type: ignore[union-attr]
    code = bundle.Loader("bundled_single", str(place.single), finder, 0).get_code("bundled_single")
    assert code is not None
    assert code.co_filename == single.__file__
    finder.close()


def test_where_another_python_keeps_them_elsewhere_they_are_compiled(place: Place) -> None:
    re.compile("something")
    place.write()
    finder = bundle.Finder(str(place.cache))
    finder.fill(SimpleNamespace())
    finder.close()
    assert finder.problem == "regular expressions cannot be made"


def edit_and_touch_back(place: Place) -> None:
    before = place.single.stat()
    while (
        place.single.stat().st_ctime_ns == before.st_ctime_ns
    ):  # kernels may keep times by the tick of their clock
        place.single.write_text(SINGLE.replace("1111", "2222"))
        os.utime(place.single, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (place.single.stat().st_size, place.single.stat().st_mtime_ns) == (
        before.st_size,
        before.st_mtime_ns,
    )


def replace_with_one_as_old(place: Place) -> None:
    before, other = place.single.stat(), place.site / "other"
    other.write_text(SINGLE.replace("1111", "2222"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(place.single)


def put_one_before_it(place: Place) -> None:
    (place.early / "bundled_single.py").write_text("VALUE = 2222")


def put_a_package_beside_it(place: Place) -> None:
    (place.site / "bundled_single").mkdir()
    (place.site / "bundled_single" / "__init__.py").write_text("VALUE = 2222")


def search_elsewhere_first(place: Place) -> None:
    put_one_before_it(place)
    place.early.rename(place.early.with_name("other"))
    sys.path.insert(0, str(place.early.with_name("other")))


@pytest.mark.parametrize(
    "change",
    [
        edit_and_touch_back,
        replace_with_one_as_old,
        put_one_before_it,
        put_a_package_beside_it,
        search_elsewhere_first,
    ],
)
def test_what_has_changed_is_imported_as_it_is_now(place: Place, change: Callable[[Place], None]) -> None:
    assert place.is_from_file("bundled_single")
    sys.dont_write_bytecode, before = (
        True,
        sys.dont_write_bytecode,
    )  # or Python itself takes the old for the new
    try:
        change(place)
        for cached in place.site.rglob("*.pyc"):
            cached.unlink()
        assert place.load("bundled_single").VALUE == 2222
    finally:
        sys.dont_write_bytecode = before
    assert place.problem
    place.write()
    assert place.load("bundled_single").VALUE == 2222
    assert place.problem == ""


def test_a_compiled_module_beside_a_source_goes_before_it(place: Place) -> None:
    (place.package / f"part{EXTENSION_SUFFIXES[0]}").write_bytes(b"no program")
    with pytest.raises(ImportError):
        place.load("bundled.part")
    assert place.is_from_file("bundled_single")


def test_what_has_gone_is_not_found(place: Place) -> None:
    (place.package / "part.py").unlink()
    with pytest.raises(ModuleNotFoundError):
        place.load("bundled.part")


def test_other_files_that_come_and_go_change_nothing(place: Place) -> None:
    for folder in (place.early, place.site, place.package):
        (folder / "another.py").write_text("")
    assert all(place.is_from_file(name) for name in NAMES)


def test_a_package_that_is_looked_for_elsewhere_is_not_taken(place: Place) -> None:
    other = place.early / "more"
    other.mkdir()
    (other / "part.py").write_text("WHO = 'other'")
    package = place.load("bundled")
    package.__path__ = [str(other)]
    assert place.load("bundled.part", forget=False).WHO == "other"


def test_a_file_that_is_damaged_anywhere_does_no_harm(place: Place) -> None:
    whole = place.file.read_bytes()
    for at in range(0, len(whole), 23):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            place.file.write_bytes(damaged)
            assert place.load("bundled_single").VALUE == 1111
            assert place.load("bundled.part").WHO == "part"
    place.file.write_bytes(whole)
    assert place.is_from_file("bundled_single")


def loosen_the_file(place: Place) -> None:
    place.file.chmod(0o640)


def loosen_the_folder(place: Place) -> None:
    place.cache.chmod(0o750)


def link_the_file(place: Place) -> None:
    place.file.rename(place.early / "real")
    place.file.symlink_to(place.early / "real")


def link_the_folder(place: Place) -> None:
    place.cache.rename(place.early / "real")
    place.cache.symlink_to(place.early / "real")


def put_a_pipe_there(place: Place) -> None:
    place.file.unlink()
    os.mkfifo(place.file, 0o600)


def put_nothing_there(place: Place) -> None:
    place.file.unlink()


@pytest.mark.parametrize(
    "change",
    [loosen_the_file, loosen_the_folder, link_the_file, link_the_folder, put_a_pipe_there, put_nothing_there],
)
def test_a_file_that_others_may_have_written_is_not_read(
    place: Place, change: Callable[[Place], None]
) -> None:
    change(place)
    assert not place.is_from_file("bundled_single")
    assert place.problem


def test_the_file_of_another_user_is_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: place.file.stat().st_uid + 1)
    assert not place.is_from_file("bundled_single")
    assert "others may have written it" in place.problem
    with pytest.raises(OSError, match="not a folder of ours"):
        place.write()


def test_another_python_has_another_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "FORMAT", bundle.FORMAT.replace(b"bytecode 5", b"bytecode 6"))
    assert sys.version.encode() in bundle.FORMAT
    assert not place.is_from_file("bundled_single")


@pytest.mark.parametrize("index", [{}, {"top": 5}, [], None, "top"])
def test_a_file_of_another_version_of_ours_does_no_harm(place: Place, index: Any) -> None:
    data = marshal.dumps(index)
    head = bundle.FORMAT + len(data).to_bytes(bundle.LENGTH, "little") + source_hash(bundle.KEY, data)
    place.file.write_bytes(head + data)
    assert not place.is_from_file("bundled_single")
    assert place.problem


def test_what_changes_while_it_is_written_is_not_taken(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file.unlink()
    monkeypatch.setattr("time.sleep", lambda _seconds: place.single.write_text("VALUE = 2222"))
    monkeypatch.setattr("time.time", lambda: place.single.stat().st_ctime + 1)
    sources = {"bundled_single": (str(place.single), False)}
    with pytest.raises(OSError, match="changed only now"):
        bundling.write(place.cache, sources, [str(place.site)], young=1)
    assert not place.file.exists()


def test_the_folder_is_for_nobody_else(place: Place) -> None:
    place.cache.chmod(0o755)
    place.write()
    assert (place.cache.stat().st_mode & 0o777, place.file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert [file.name for file in place.cache.iterdir()] == [bundle.NAME]


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HOME": "/home/me"}, "/home/me/.cache/pwmixer"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "/var/me"}, "/var/me/pwmixer"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "relative"}, "/home/me/.cache/pwmixer"),
        ({"XDG_CACHE_HOME": "/var/me"}, "/var/me/pwmixer"),
        ({"HOME": "relative"}, ""),
        ({}, ""),
    ],
)
def test_it_is_in_the_cache_of_the_user(environment: dict[str, str], folder: str) -> None:
    assert bundle.folder_of(environment) == folder


def test_where_there_is_no_home_there_is_no_file() -> None:
    assert "there is no home" in bundle.Finder("").problem
