"""Random instances of any declared structure, made from its declaration."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from scmd.ndr import types
from scmd.ndr.codec import fields_of
from scmd.ndr.structure import Structure

MAX_ELEMENTS = 4

unhurried = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
"""Codecs are compiled in the first example, so it takes longer than the others."""


@cache
def instances(kind: type[Structure]) -> st.SearchStrategy[Structure]:
    """Values that every form can carry: texts within ASCII, counts that are right."""
    fields = dict(fields_of(kind))

    @st.composite
    def build(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Structure:
        values: dict[str, Any] = {}
        for field, wire in fields.items():
            if isinstance(wire, types.NotSent):
                values[field] = _unsent(field, fields)
            elif not isinstance(wire, types.SizeOf | types.Union):
                values[field] = draw(_values(wire))
        for field, wire in fields.items():
            if isinstance(wire, types.Union):
                tag = draw(st.sampled_from(sorted(wire.arms)))
                values[wire.switch] = tag
                values[field] = draw(_values(wire.arms[tag]))
        for field, wire in fields.items():
            if isinstance(wire, types.SizeOf):
                counted = values[wire.field]
                values[field] = 0 if counted is None else len(counted)
        return kind(**values)

    return build()


def _unsent(field: str, fields: dict[str, types.WireType]) -> int:
    for wire in fields.values():
        if isinstance(wire, types.Text) and wire.capacity == field:
            return wire.maximum
    return 0


def _values(wire: types.WireType) -> st.SearchStrategy[Any]:
    match wire:
        case types.Integer():
            top = 2 ** (8 * wire.size) - 1 if wire.maximum is None else wire.maximum
            return st.integers(wire.minimum, top)
        case types.Fixed():
            return st.binary(min_size=wire.size, max_size=wire.size).map(wire.kind)
        case types.Dwords():
            return _dwords(wire)
        case types.Text():
            return st.text(
                st.characters(min_codepoint=1, max_codepoint=0x7E),
                max_size=min(20, wire.maximum - 1),
            )
        case types.Bytes():
            return st.binary(max_size=min(40, wire.maximum))
        case types.Array():
            return st.lists(_values(wire.element), max_size=MAX_ELEMENTS).map(tuple)
        case types.Trailing():
            return _values(wire.array)
        case types.Unique():
            return st.none() | _values(wire.target)
        case types.Struct():
            return instances(wire.kind)
    raise TypeError(f"no values for {type(wire).__name__}")


def _dwords(wire: types.Dwords) -> st.SearchStrategy[Any]:
    number = st.integers(0, 2**32 - 1)
    fields = wire.kind._fields[: wire.count]
    return st.fixed_dictionaries(dict.fromkeys(fields, number)).map(
        lambda values: wire.kind(**values)
    )
