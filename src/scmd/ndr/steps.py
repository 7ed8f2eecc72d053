"""Steps: what encoding and decoding a structure is made of, one after another.

A step is a field, or a run of neighbouring fields of fixed size. It takes its values from
the structure, or puts them into it.
"""

from __future__ import annotations

from operator import attrgetter
from struct import Struct as Packer

from scmd.ndr.errors import INVALID_TAG, NdrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from scmd.ndr.elements import Element, Form, Reader, TextElement, VaryingElement, Writer
    from scmd.ndr.leaves import Leaf
    from scmd.ndr.structure import Structure
    from scmd.ndr.types import SizeOf


def setter(kind: type[Structure], field: str) -> Callable[[Any, Any], None]:
    """What gives a structure that is being decoded the value of a field."""
    put: Callable[[Any, Any], None] = getattr(kind, field).__set__
    return put


class Step:
    """A field, or a run of fields, of a structure."""

    alignment = 1
    minimum = 0
    has_buffers = False

    def put(self, writer: Writer, owner: Any) -> None:
        raise NotImplementedError

    def get(self, reader: Reader, owner: Any) -> None:
        raise NotImplementedError

    def put_buffers(self, writer: Writer, owner: Any) -> None:
        """Write what this field's pointers refer to."""

    def get_buffers(self, reader: Reader, owner: Any) -> None:
        """Read what this field's pointers refer to into the owner."""


class Run(Step):
    """Neighbouring fields of fixed size, no field aligned more than the first."""

    def __init__(self, form: Form, kind: type[Structure], fields: list[tuple[str, Leaf]]) -> None:
        self.alignment = fields[0][1].alignment
        layout, offset = form.order, 0
        for _, leaf in fields:
            pad = -offset & (leaf.alignment - 1)
            layout += ("x" * pad) + leaf.format
            offset += pad + leaf.size
        self.packer = Packer(layout)
        self.minimum = self.packer.size
        self.fields = fields
        self.is_plain = all(leaf.to_wire is None for _, leaf in fields)
        self.items = self._plain_items() if self.is_plain else self._converted_items
        self._plan_decoding(kind)

    def _plain_items(self) -> Callable[[Any], tuple[Any, ...]]:
        names = [
            name
            for field, leaf in self.fields
            for name in ([f"{field}.{part}" for part in leaf.parts] or [field])
        ]
        getter = attrgetter(*names)
        return getter if len(names) > 1 else lambda owner: (getter(owner),)

    def _converted_items(self, owner: Any) -> tuple[Any, ...]:
        items: list[Any] = []
        for field, leaf in self.fields:
            items += leaf.spread(getattr(owner, field))
        return tuple(items)

    def _plan_decoding(self, kind: type[Structure]) -> None:
        self.direct: list[tuple[Callable[[Any, Any], None], int]] = []
        self.converted: list[
            tuple[Callable[[Any, Any], None], Callable[[Any], Any], int | slice]
        ] = []
        index = 0
        for field, leaf in self.fields:
            if leaf.from_wire is None:
                self.direct.append((setter(kind, field), index))
            else:
                where = slice(index, index + len(leaf.parts)) if leaf.parts else index
                self.converted.append((setter(kind, field), leaf.from_wire, where))
            index += len(leaf.parts) or 1

    def assign(self, owner: Any, items: tuple[Any, ...]) -> None:
        for set_field, index in self.direct:
            set_field(owner, items[index])
        for set_field, from_wire, where in self.converted:
            set_field(owner, from_wire(items[where]))

    def put(self, writer: Writer, owner: Any) -> None:
        writer.align(self.alignment)
        writer.data += self.packer.pack(*self.items(owner))

    def get(self, reader: Reader, owner: Any) -> None:
        self.assign(owner, reader.unpack(self.packer, self.alignment))


class CountField(Step):
    """A [size_is] field: the length of the field it counts."""

    alignment = minimum = 4

    def __init__(self, form: Form, kind: type[Structure], field: str, counted: SizeOf) -> None:
        self.set = setter(kind, field)
        self.packer = Packer(form.order + "I")
        self.field = field
        self.counted = counted

    def put(self, writer: Writer, owner: Any) -> None:
        array = getattr(owner, self.counted.field)
        writer.align(4)
        writer.data += self.packer.pack(getattr(owner, self.field) if array is None else len(array))

    def get(self, reader: Reader, owner: Any) -> None:
        (count,) = reader.unpack(self.packer, 4)
        if count > self.counted.maximum:
            raise NdrError(f"{self.field} is {count}, at most {self.counted.maximum}")
        self.set(owner, count)


class PlainField(Step):
    """Any other field: an element codec and where its value is kept."""

    def __init__(self, kind: type[Structure], field: str, element: Element) -> None:
        self.set = setter(kind, field)
        self.field = field
        self.element = element
        self.alignment = element.alignment
        self.minimum = element.minimum
        self.has_buffers = element.has_buffers

    def put(self, writer: Writer, owner: Any) -> None:
        self.element.put(writer, getattr(owner, self.field))

    def get(self, reader: Reader, owner: Any) -> None:
        self.set(owner, self.element.get(reader))

    def put_buffers(self, writer: Writer, owner: Any) -> None:
        self.element.put_buffers(writer, getattr(owner, self.field))

    def get_buffers(self, reader: Reader, owner: Any) -> None:
        value = self.element.get_buffers(reader, getattr(owner, self.field))
        self.set(owner, value)


class CapacityField(Step):
    """A string or varying array whose maximum count is a field of ours."""

    def __init__(
        self,
        kind: type[Structure],
        field: str,
        capacity: str,
        element: TextElement | VaryingElement,
    ) -> None:
        self.set = setter(kind, field)
        self.set_capacity = setter(kind, capacity)
        self.field = field
        self.capacity = capacity
        self.element = element
        self.alignment = element.alignment
        self.minimum = element.minimum
        self.has_buffers = element.has_buffers

    def put(self, writer: Writer, owner: Any) -> None:
        capacity = getattr(owner, self.capacity)
        self.element.put_with_capacity(writer, getattr(owner, self.field), capacity)

    def put_buffers(self, writer: Writer, owner: Any) -> None:
        self.element.put_buffers(writer, getattr(owner, self.field))

    def get_buffers(self, reader: Reader, owner: Any) -> None:
        value = self.element.get_buffers(reader, getattr(owner, self.field))
        self.set(owner, value)

    def get(self, reader: Reader, owner: Any) -> None:
        value, capacity = self.element.get_with_capacity(reader)
        self.set(owner, value)
        self.set_capacity(owner, capacity)


class UnionField(Step):
    """A non-encapsulated union; the tag comes from, or goes to, a field of the owner."""

    has_buffers = True

    def __init__(
        self,
        form: Form,
        kind: type[Structure],
        field: str,
        switch: str,
        arms: dict[int, Element],
        tag_is_sent: bool,
    ) -> None:
        self.set = setter(kind, field)
        self.set_switch = setter(kind, switch)
        self.packer = Packer(form.order + "I")
        self.field = field
        self.switch = switch
        self.tag_is_sent = tag_is_sent
        self.arms = arms
        widest = max(arm.alignment for arm in self.arms.values())
        self.alignment = max(4, widest) if form.ndr64 else 4
        self.minimum = 4

    def arm(self, tag: int) -> Element:
        try:
            return self.arms[tag]
        except KeyError:
            raise NdrError(f"{self.field}: no arm has the tag {tag}", INVALID_TAG) from None

    def put(self, writer: Writer, owner: Any) -> None:
        tag = getattr(owner, self.switch)
        arm = self.arm(tag)
        writer.align(self.alignment)
        writer.data += self.packer.pack(tag)
        writer.align(self.alignment)
        arm.put(writer, getattr(owner, self.field))

    def get(self, reader: Reader, owner: Any) -> None:
        (tag,) = reader.unpack(self.packer, self.alignment)
        arm = self.arm(tag)
        if not self.tag_is_sent:
            self.set_switch(owner, tag)
        elif tag != getattr(owner, self.switch):
            raise NdrError(f"{self.field}: the tag is {tag}, {self.switch} says otherwise")
        reader.align(self.alignment)
        self.set(owner, arm.get(reader))

    def put_buffers(self, writer: Writer, owner: Any) -> None:
        self.arm(getattr(owner, self.switch)).put_buffers(writer, getattr(owner, self.field))

    def get_buffers(self, reader: Reader, owner: Any) -> None:
        arm = self.arm(getattr(owner, self.switch))
        self.set(owner, arm.get_buffers(reader, getattr(owner, self.field)))
