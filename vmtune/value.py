"""Values: what is known of one thing, frozen, with the failures to know it kept inside."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeVar

from vmtune.root.unreadable import Unreadable

T = TypeVar("T")


def value(cls: type[T]) -> type[T]:
    """Make a NamedTuple raise, when a field is used, the Unreadable that is kept in it.

    Iterating, comparing and `_replace` see the raw fields; `peek` reads one without raising.
    """
    for place, name in enumerate(cls._fields):  # type: ignore[attr-defined]
        setattr(cls, name, property(_getter(itemgetter(place)), doc=getattr(cls, name).__doc__))
    return cls


def _getter(get: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def field(self: Any) -> Any:
        held = get(self)
        if held.__class__ is Unreadable:
            raise held.again()
        return held

    return field


def peek(read: Callable[[], T]) -> T | None:
    """What a function returns, None where it cannot know."""
    try:
        return read()
    except Unreadable:
        return None
