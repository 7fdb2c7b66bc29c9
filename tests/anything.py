"""Values of any type that records are made of, whatever they mean."""

import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pwmixer_dbus.core.commands import Command
from pwmixer_dbus.core.events import KEEP, Keep
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.patterns import Pattern
from pwmixer_dbus.core.records import fields
from pwmixer_dbus.core.rules import Condition, Rule

TEXTS = st.text(max_size=8).map(clean)
RULES = st.just(
    Rule(
        name="Talk",
        conditions=(Condition(field="app", patterns=(Pattern(kind="glob", text="disc*"),)),),  # type: ignore[arg-type]
        to=("headset",),
        origin="service",
    )
)
SCALARS: Mapping[object, SearchStrategy[Any]] = {
    float: st.floats(-10.0, 10.0),
    str: TEXTS,
    int: st.integers(-5, 5000),
    bool: st.booleans(),
    types.NoneType: st.none(),
    type: st.sampled_from(get_args(Command)),
    Rule: RULES,
    Keep: st.just(KEEP),
}


@cache
def anything(kind: Any) -> SearchStrategy[Any]:
    """Make values of an annotation, whatever they mean."""
    origin, of = get_origin(kind), get_args(kind)
    if kind in SCALARS:
        return SCALARS[kind]
    if origin in {Union, types.UnionType}:
        return st.one_of(*map(anything, of))
    if origin is tuple and of[-1] is Ellipsis:
        return st.lists(anything(of[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(anything, of))
    if origin is frozenset:
        return st.frozensets(anything(of[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(anything(of[0]), anything(of[1]), max_size=2)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = get_type_hints(kind)
    # A wish is told from none by its default, which is KEEP.
    values = {f.name: anything(hints[f.name]) for f in fields(kind)}
    return st.builds(kind, **values)
