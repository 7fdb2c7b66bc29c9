"""Records are what `dataclasses` makes of the same declarations, only later: each test runs on both."""

import dataclasses
import weakref
from collections.abc import Mapping
from typing import Any

import pytest

from pwmixer_dbus.core import model, records

BOTH = pytest.mark.parametrize("made_by", [dataclasses, records], ids=["dataclasses", "records"])
GENERATED = {"__init__", "__eq__", "__hash__"}


def point(made_by: Any) -> Any:
    @made_by.dataclass(frozen=True, slots=True, kw_only=True)
    class Point:
        """Where something is."""

        x: int
        y: int = 0
        labels: Mapping[str, str] = made_by.field(default_factory=dict)

        @property
        def length(self) -> int:
            return self.x + self.y

    return Point


@BOTH
def test_a_record_has_its_values_its_defaults_and_what_its_class_says(made_by: Any) -> None:
    made = point(made_by)
    one, two = made(x=1), made(x=1, y=2, labels={"a": "b"})
    assert (one.x, one.y, one.labels, one.length) == (1, 0, {}, 1)
    assert (two.x, two.y, two.labels, two.length) == (1, 2, {"a": "b"}, 3)
    assert one.labels is not made(x=1).labels
    assert repr(two) == f"{made.__qualname__}(x=1, y=2, labels={{'a': 'b'}})"
    assert (made.__doc__, made.__module__) == ("Where something is.", __name__)
    assert not hasattr(one, "__dict__")
    with pytest.raises(TypeError):
        weakref.ref(one)


@BOTH
def test_records_are_compared_by_value_and_only_within_their_class(made_by: Any) -> None:
    made, other = point(made_by), point(made_by)
    assert made(x=1) == made(x=1)
    assert made(x=1) != made(x=2)
    assert made(x=1) != other(x=1)
    assert made(x=1) != (1, 0, {})
    key = made(x=1, labels=())
    assert {key: 1}[made(x=1, labels=())] == 1
    with pytest.raises(TypeError):
        hash(made(x=1, labels={}))


@BOTH
def test_a_frozen_record_stays_as_it_is(made_by: Any) -> None:
    one = point(made_by)(x=1)
    with pytest.raises(AttributeError):
        one.x = 2
    with pytest.raises(AttributeError):
        del one.x
    with pytest.raises((AttributeError, TypeError)):
        one.z = 2
    assert one.x == 1


@BOTH
def test_a_record_that_differs_is_another_one(made_by: Any) -> None:
    one = point(made_by)(x=1, labels={"a": "b"})
    assert made_by.replace(one, y=3) == type(one)(x=1, y=3, labels={"a": "b"})
    assert (one.y, made_by.replace(one).labels) == (0, one.labels)
    with pytest.raises(TypeError, match="z"):
        made_by.replace(one, z=1)


@BOTH
@pytest.mark.parametrize(
    "wrong", [{}, {"x": 1, "z": 1}], ids=["a value is missing", "there is no such field"]
)
def test_what_does_not_fit_is_refused(made_by: Any, wrong: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        point(made_by)(**wrong)
    with pytest.raises(TypeError):
        point(made_by)(1)


def other_kinds(made_by: Any) -> Any:
    @made_by.dataclass(slots=True, kw_only=True)
    class Changing:
        x: int = 0

    @made_by.dataclass(frozen=True, slots=True)
    class InOrder:
        x: int
        y: int = 2

    @made_by.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
    class Itself:
        x: int = 0

    @made_by.dataclass(frozen=True, slots=True, kw_only=True)
    class Empty:
        pass

    return Changing, InOrder, Itself, Empty


@BOTH
def test_other_kinds_of_records(made_by: Any) -> None:
    changing, in_order, itself, empty = other_kinds(made_by)
    one = changing()
    one.x = 5
    assert one == changing(x=5)
    with pytest.raises(TypeError):
        hash(one)
    assert in_order(1) == in_order(1, y=2)
    assert itself() != itself()
    assert len({itself(), itself()}) == 2
    assert empty() == empty()
    assert hash(empty()) == hash(empty())


@BOTH
def test_a_record_of_many_fields_is_like_any_other(made_by: Any) -> None:
    annotations: dict[str, object] = {f"f{i}": int for i in range(10)} | {"labels": list}
    values: dict[str, Any] = {f"f{i}": i for i in range(1, 10)} | {
        "labels": made_by.field(default_factory=list)
    }
    plain = type("Wide", (), {"__annotations__": annotations, "__module__": __name__, **values})
    made = made_by.dataclass(frozen=True, slots=True, kw_only=True)(plain)
    one = made(f0=0)
    other = made_by.replace(one, f1=5, labels=[1])
    assert type(one) is type(other) is made
    assert [getattr(one, name) for name in annotations] == [*range(10), []]
    assert [getattr(other, name) for name in annotations] == [0, 5, *range(2, 10), [1]]
    assert one == made(f0=0) != other
    for record in (one, other):
        with pytest.raises(AttributeError):
            record.f1 = 7
    with pytest.raises(TypeError):
        made(f1=1)


@BOTH
def test_records_can_be_told_from_others_and_taken_apart(made_by: Any) -> None:
    made = point(made_by)
    assert [field.name for field in made_by.fields(made(x=1))] == ["x", "y", "labels"]
    assert made_by.is_dataclass(made(x=1))
    assert not made_by.is_dataclass("x")


def test_a_method_is_compiled_when_it_is_first_used() -> None:
    made = point(records)
    assert {vars(made)[name].__code__.co_filename for name in GENERATED} == {records.__file__}
    made(x=1)
    assert vars(made)["__init__"].__code__.co_filename == "<string>"
    assert vars(made)["__eq__"].__code__.co_filename == records.__file__
    assert made(x=1) == made(x=1)
    assert vars(made)["__eq__"].__code__.co_filename == "<string>"


def test_the_records_of_the_mixer_are_such() -> None:
    assert records.is_dataclass(model.Stream)
    assert not dataclasses.is_dataclass(model.Stream)
