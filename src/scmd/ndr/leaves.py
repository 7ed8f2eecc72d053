"""Leaves: types of fixed size, each a few items of a `struct` format.

Neighbouring leaves of a structure are packed by one format (see `steps.Run`).
"""

from __future__ import annotations

from scmd.ndr import types
from scmd.ndr.errors import NdrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from scmd.ndr.elements import Form
    from scmd.ndr.types import WireType
    from scmd.vocabulary.value import Value

_INTEGER_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Leaf:
    """How a fixed-size type maps to items of a `struct` format."""

    __slots__ = ("alignment", "format", "from_wire", "parts", "size", "to_wire")

    def __init__(
        self,
        format: str,
        size: int,
        alignment: int,
        *,
        parts: tuple[str, ...] = (),
        to_wire: Callable[[Any], Any] | None = None,
        from_wire: Callable[[Any], Any] | None = None,
    ) -> None:
        self.format = format
        self.size = size
        self.alignment = alignment
        self.parts = parts
        """Attributes of the value that are an item each; none: the value is the item."""
        self.to_wire = to_wire
        self.from_wire = from_wire

    def spread(self, value: Any) -> tuple[Any, ...]:
        if self.parts:
            return tuple(getattr(value, part) for part in self.parts)
        return (value if self.to_wire is None else self.to_wire(value),)

    def gather(self, values: tuple[Any, ...], index: int) -> Any:
        taken = values[index : index + len(self.parts)] if self.parts else values[index]
        return taken if self.from_wire is None else self.from_wire(taken)


def leaf_of(field: str, wire: WireType, form: Form) -> Leaf | None:
    """The leaf of a type, or None when its size is not fixed; `field` is for errors."""
    match wire:
        case types.Integer():
            return _integer_leaf(field, wire)
        case types.Count():
            return Leaf("Q", 8, 8) if form.ndr64 else Leaf("I", 4, 4)
        case types.Fixed():
            return _fixed_leaf(wire, form.order)
        case types.Dwords():
            parts = wire.kind._fields[: wire.count]
            build = _value_builder(wire.kind, wire.count)
            return Leaf(f"{wire.count}I", 4 * wire.count, 4, parts=parts, from_wire=build)
    return None


def _integer_leaf(field: str, wire: types.Integer) -> Leaf:
    format, size = _INTEGER_FORMATS[wire.size], wire.size
    maximum = wire.maximum
    if maximum is None:
        return Leaf(format, size, size)
    minimum = wire.minimum

    def clamp(value: int) -> int:
        return min(max(value, minimum), maximum)

    check = _bounded(field, minimum, maximum)
    return Leaf(format, size, size, to_wire=clamp, from_wire=check)


def _fixed_leaf(wire: types.Fixed, order: str) -> Leaf:
    kind, swap, size = wire.kind, wire.swap, wire.size
    format = f"{size}s"

    def sized(value: bytes) -> bytes:
        if len(value) != size:
            raise NdrError(f"{kind.__name__} of {len(value)} bytes, not {size}")
        return value

    if swap is None or order == "<":
        to_wire = None if kind is not bytes else sized
        return Leaf(format, size, wire.alignment, to_wire=to_wire, from_wire=kind)
    return Leaf(
        format,
        size,
        wire.alignment,
        to_wire=lambda value: swap(sized(value)),
        from_wire=lambda raw: kind(swap(raw)),
    )


def _value_builder(kind: type[Value], count: int) -> Callable[[tuple[int, ...]], Value]:
    setters = [set_field for _, set_field in kind._setters]
    rest = tuple(kind._defaults[field] for field in kind._fields[count:])

    def build(items: tuple[int, ...]) -> Value:
        value = kind.__new__(kind)
        for set_field, item in zip(setters, items + rest, strict=True):
            set_field(value, item)
        return value

    return build


def _bounded(name: str, minimum: int, maximum: int) -> Callable[[int], int]:
    """A check that a decoded integer is in its range."""

    def check(value: int) -> int:
        if not minimum <= value <= maximum:
            raise NdrError(f"{name} is {value}, not {minimum} to {maximum}")
        return value

    return check
