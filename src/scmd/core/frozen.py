"""Frozen dataclasses that are made as fast as their slots can be filled.

The `__init__` of an ordinary one sets each field by way of `object.__setattr__`, and took longer
for a message than what the SCM did about it. This one calls the slots themselves, and everything
else is as `@dataclass(frozen=True, slots=True)` has it.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TypeVar, dataclass_transform

from scmd.vocabulary.value import initializer

Kind = TypeVar("Kind")


@dataclass_transform(frozen_default=True)
def frozen(kind: type[Kind]) -> type[Kind]:
    """The class as a frozen dataclass with slots; without factories and `__post_init__`."""
    made = dataclass(frozen=True, slots=True, init=False)(kind)
    all_fields = fields(made)  # type: ignore[arg-type] # it is a dataclass now
    defaults = {each.name: each.default for each in all_fields if each.default is not MISSING}
    made.__init__ = initializer(made, [each.name for each in all_fields], defaults)  # type: ignore[method-assign] # what dataclass would do
    return made
