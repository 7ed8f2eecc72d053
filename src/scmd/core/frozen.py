"""Frozen dataclasses that are made as fast as their slots can be filled, and declared as fast.

The `__init__` of an ordinary one sets each field by way of `object.__setattr__`, and took longer
for a message than what the SCM did about it. This one fills the slots themselves. The other methods
of an ordinary one are compiled for each class, which was a third of a manager's start; here all
classes share theirs. To users it is as `@dataclass(frozen=True, slots=True)` has it.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

from scmd.vocabulary.value import initializer

Kind = TypeVar("Kind")


@dataclass_transform(frozen_default=True)
def frozen(kind: type[Kind]) -> type[Kind]:
    """The class as a frozen dataclass with slots; without factories and `__post_init__`."""
    # Without a docstring dataclass works out a signature, which takes longer than the rest.
    kind.__doc__ = kind.__doc__ or kind.__name__
    made: Any = dataclass(slots=True, init=False, repr=False, eq=False)(kind)
    all_fields = fields(made)
    names = [each.name for each in all_fields]
    defaults = {each.name: each.default for each in all_fields if each.default is not MISSING}
    made.__init__ = initializer(made, names, defaults)
    made._values = staticmethod(attrgetter(*names) if names else _nothing)
    for method in (__eq__, __hash__, __repr__, __setattr__, __delattr__, __reduce__):
        setattr(made, method.__name__, method)
    result: type[Kind] = made
    return result


def _nothing(_: object) -> tuple[()]:
    return ()


# The methods: `_values` gives the fields' values, one alone without a tuple around it.


def __eq__(self: Any, other: Any) -> Any:
    if self is other:
        return True
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self._values(self) == self._values(other)


def __hash__(self: Any) -> int:
    return hash(self._values(self))


def __repr__(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
    return f"{self.__class__.__qualname__}({shown})"


def __setattr__(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def __reduce__(self: Any) -> tuple[type, tuple[object, ...]]:
    return self.__class__, tuple(getattr(self, each.name) for each in fields(self))
