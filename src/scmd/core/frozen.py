"""Frozen dataclasses that are made as fast as their slots can be filled.

The `__init__` of an ordinary one sets each field by way of `object.__setattr__`, and took longer
for a message than what the SCM did about it. This one calls the slots themselves, and everything
else is as `@dataclass(frozen=True, slots=True)` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

Kind = TypeVar("Kind")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[Kind]) -> type[Kind]:
    """The class as a frozen dataclass with slots. It cannot have a `__post_init__`."""
    made = dataclass(frozen=True, slots=True, init=False)(kind)
    made.__init__ = _initializer(made)  # type: ignore[method-assign] # what dataclass would do
    return made


def _initializer(kind: type) -> Callable[..., None]:
    names: dict[str, Any] = {"_missing": MISSING}
    parameters, lines = ["self"], ["pass"]
    for each in fields(kind):
        name = value = each.name
        names[f"_set_{name}"] = getattr(kind, name).__set__
        if each.default is not MISSING:
            names[f"_default_{name}"] = each.default
            parameters.append(f"{name}=_default_{name}")
        elif each.default_factory is not MISSING:
            names[f"_made_{name}"] = each.default_factory
            parameters.append(f"{name}=_missing")
            value = f"_made_{name}() if {name} is _missing else {name}"
        else:
            parameters.append(name)
        lines.append(f"_set_{name}(self, {value})")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), names)
    initializer: Callable[..., None] = names["__init__"]
    initializer.__qualname__ = f"{kind.__qualname__}.__init__"
    return initializer
