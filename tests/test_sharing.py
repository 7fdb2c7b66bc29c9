"""Byte code whose constants are shared is the byte code that it was."""

import asyncio.base_events
import marshal
import typing
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.startup import sharing
from pwmixer_dbus.startup.bundling import without_columns

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.just(...)
)
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner), max_leaves=20
)
ALIKE = """
def first(self, value):
    return self.get(value)

def second(self, value):
    return self.get(value)
"""


def told(value: object) -> object:
    """Tell all of a value, also that in which equal ones may differ: types, signs, tables of lines."""
    if isinstance(value, CodeType):
        names = [name for name in dir(value) if name.startswith("co_")]
        known = {name: getattr(value, name) for name in names if name != "co_lnotab"}
        return {name: told([*one()] if callable(one) else one) for name, one in known.items()}
    if isinstance(value, tuple | list):
        return [told(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(repr(told(one)) for one in value)
    return type(value), repr(value)


def loaded(data: bytes) -> Any:
    return marshal.loads(data)  # noqa: S302 - written here


def code_of(module: ModuleType) -> CodeType:
    source = Path(str(module.__file__))
    return compile(source.read_bytes(), str(source), "exec", dont_inherit=True)


@given(VALUES)
def test_any_value_is_what_it_was(value: object) -> None:
    assert told(loaded(sharing.shared(value))) == told(value)


@pytest.mark.parametrize("module", [asyncio.base_events, typing, sharing])
def test_a_module_is_what_it_was(module: ModuleType) -> None:
    code = code_of(module)
    assert told(loaded(sharing.shared(code))) == told(code)
    slim = without_columns(code)
    # From Python 3.14 on, the compiler has done so itself.
    assert len(sharing.shared(slim)) <= len(marshal.dumps(slim))


def test_what_two_functions_have_alike_is_there_once() -> None:
    code = without_columns(compile(ALIKE, "alike", "exec"))
    first, second, _ = loaded(marshal.dumps(code)).co_consts
    assert first.co_linetable == second.co_linetable
    assert first.co_linetable is not second.co_linetable
    first, second, _ = loaded(sharing.shared(code)).co_consts
    assert first.co_linetable is second.co_linetable
    assert first != second


@pytest.mark.parametrize("data", [b"?", b"(\x09\x00\x00\x00N", b"r\x05\x00\x00\x00", b""])
def test_what_is_written_in_another_way_stays_so(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(marshal, "dumps", lambda _: data)
    assert sharing.shared(()) == data
