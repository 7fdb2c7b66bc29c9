"""What stands in for `typing` while the service is loaded: types say nothing there, and the real one is 0.4 MiB.

Whatever is asked for a type gives itself; what makes classes makes the same as the real one, without what type checkers read.
`Annotated` is not here: whoever names it looks into types, and gets the real ones.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_FORMS = """
Any AsyncIterator Awaitable BinaryIO Callable ClassVar Concatenate Coroutine Dict Final IO Iterable Iterator List Literal
LiteralString Mapping Never NoReturn Optional Protocol Self Sequence Set TextIO Tuple Type TypeAlias Union
"""

_VALUES = 1
"""In which form annotations are asked for: `annotationlib.Format.VALUE`."""


class _Form:
    """A type of any form, which may be made, be given others, be one of several and be inherited from."""

    def __call__(self, *_: object, **__: object) -> _Form:
        return self

    def __getitem__(self, _: object) -> _Form:
        return self

    def __or__(self, _: object) -> _Form:
        return self

    __ror__ = __or__

    def __mro_entries__(self, _: object) -> tuple[type, ...]:
        return ()


class _Variable(_Form):
    """In the place of which a type is put."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __typing_subst__(self, kind: object) -> object:
        return kind


class _Generic:
    __slots__ = ()

    def __class_getitem__(cls, _: object) -> type:
        return cls


class _Named(type):
    """Makes named tuples of classes with annotations."""

    def __new__(cls, name: str, _: object, body: dict[str, Any]) -> Any:
        # From Python 3.14 on, there is a function that gives them.
        fields = [*(body.get("__annotations__") or body["__annotate_func__"](_VALUES))]
        defaults = [body.pop(field) for field in fields if field in body]
        kind = namedtuple(name, fields, defaults=defaults, module=body["__module__"])  # type: ignore[misc] # noqa: PYI024
        for key, value in body.items():
            if key not in ("__module__", "__qualname__"):
                setattr(kind, key, value)
        kind.__qualname__ = body["__qualname__"]
        return kind


class _Dictionary(type):
    """Makes dictionaries of classes with annotations."""

    def __new__(cls, *_: object, **__: object) -> Any:
        return dict


def _as_it_is(value: Any) -> Any:
    return value


def _assert_never(value: object) -> NoReturn:
    raise AssertionError(f"Expected code to be unreachable, but got: {value!r}")


_form = _Form()

NAMES: dict[str, Any] = {
    **dict.fromkeys(_FORMS.split(), _form),
    **dict.fromkeys(("final", "overload", "runtime_checkable"), _as_it_is),
    **dict.fromkeys(("ParamSpec", "TypeVar"), _Variable),
    "Generic": _Generic,
    "NamedTuple": type.__new__(_Named, "NamedTuple", (), {}),
    "TYPE_CHECKING": False,
    "TypedDict": type.__new__(_Dictionary, "TypedDict", (), {}),
    "assert_never": _assert_never,
    "cast": lambda _, value: value,
}
"""What is asked of it in all that the service loads."""
