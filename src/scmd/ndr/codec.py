"""From declarations to code: the fields of a `Structure` become steps, once per form.

Neighbouring fields of fixed size are fused into one `struct` format, so that the common
small messages are a single pack or unpack. A structure is compiled in two ways: as the
parameters of a call, where what a pointer refers to follows it at once, and as an element,
where it follows the whole construct ([C706] 14.3.12.3).
"""

from __future__ import annotations

import sys
from operator import attrgetter
from struct import Struct as Packer
from struct import error as StructError

from scmd.ndr import types
from scmd.ndr.elements import (
    ArrayElement,
    BytesElement,
    Element,
    Form,
    Leaf,
    LeafElement,
    Reader,
    TextElement,
    UniqueElement,
    Writer,
    bounded,
)
from scmd.ndr.errors import INVALID_TAG, NdrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from scmd.ndr.structure import Structure
    from scmd.ndr.types import WireType
    from scmd.vocabulary.value import Value

_set = object.__setattr__
_INTEGER_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def compile_parameters(kind: type[Structure], form: int) -> ParametersCodec:
    """The codec of a request or response."""
    meaning = Form(form)
    steps = _steps(kind, meaning)
    if len(steps) == 1 and isinstance(steps[0], _Run) and steps[0].is_plain:
        return _SingleRunCodec(kind, steps[0])
    return ParametersCodec(kind, steps)


class ParametersCodec:
    """Encodes and decodes a parameter list: each parameter with its referents, in order."""

    def __init__(self, kind: type[Structure], steps: list[_Step]) -> None:
        self.kind = kind
        self.steps = steps
        self.presets = _presets(kind)
        self.checks = _count_checks(kind)

    def encode(self, value: Structure) -> bytes:
        writer = Writer()
        try:
            for step in self.steps:
                step.put(writer, value)
                if step.has_buffers:
                    step.put_buffers(writer, value)
        except (StructError, UnicodeEncodeError) as error:
            raise NdrError(f"{self.kind.__name__}: {error}") from error
        return bytes(writer.data)

    def decode(self, data: bytes) -> Any:
        reader = Reader(data)
        value = self.kind.__new__(self.kind)
        for field, default in self.presets:
            _set(value, field, default)
        try:
            for step in self.steps:
                step.get(reader, value)
                if step.has_buffers:
                    step.get_buffers(reader, value)
        except (StructError, UnicodeDecodeError) as error:
            raise NdrError(f"{self.kind.__name__}: {error}") from error
        _check_counts(value, self.checks)
        return value


class _SingleRunCodec(ParametersCodec):
    """The fast path: nothing but plain items of fixed size, such as a handle or a status."""

    def __init__(self, kind: type[Structure], run: _Run) -> None:
        super().__init__(kind, [run])
        self.run = run

    def encode(self, value: Structure) -> bytes:
        run = self.run
        try:
            return run.packer.pack(*run.items(value))
        except StructError as error:
            raise NdrError(f"{self.kind.__name__}: {error}") from error

    def decode(self, data: bytes) -> Any:
        run = self.run
        try:
            items = run.packer.unpack_from(data)
        except StructError as error:
            raise NdrError(f"{self.kind.__name__}: {error}") from error
        value = self.kind.__new__(self.kind)
        run.assign(value, items)
        return value


class _Step:
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


class _Run(_Step):
    """Neighbouring fields of fixed size, no field aligned more than the first."""

    def __init__(self, form: Form, fields: list[tuple[str, Leaf]]) -> None:
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
        self._plan_decoding()

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

    def _plan_decoding(self) -> None:
        self.direct: list[tuple[str, int]] = []
        self.gathered: list[tuple[str, Leaf, int]] = []
        index = 0
        for field, leaf in self.fields:
            if leaf.from_wire is None and not leaf.parts:
                self.direct.append((field, index))
            else:
                self.gathered.append((field, leaf, index))
            index += len(leaf.parts) or 1

    def assign(self, owner: Any, items: tuple[Any, ...]) -> None:
        for field, index in self.direct:
            _set(owner, field, items[index])
        for field, leaf, index in self.gathered:
            _set(owner, field, leaf.gather(items, index))

    def put(self, writer: Writer, owner: Any) -> None:
        writer.align(self.alignment)
        writer.data += self.packer.pack(*self.items(owner))

    def get(self, reader: Reader, owner: Any) -> None:
        self.assign(owner, reader.unpack(self.packer, self.alignment))


class _Count(_Step):
    """A [size_is] field: the length of the field it counts."""

    alignment = minimum = 4

    def __init__(self, form: Form, field: str, counted: types.SizeOf) -> None:
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
        _set(owner, self.field, count)


class _Field(_Step):
    """Any other field: an element codec and where its value is kept."""

    def __init__(self, field: str, element: Element) -> None:
        self.field = field
        self.element = element
        self.alignment = element.alignment
        self.minimum = element.minimum
        self.has_buffers = element.has_buffers

    def put(self, writer: Writer, owner: Any) -> None:
        self.element.put(writer, getattr(owner, self.field))

    def get(self, reader: Reader, owner: Any) -> None:
        _set(owner, self.field, self.element.get(reader))

    def put_buffers(self, writer: Writer, owner: Any) -> None:
        self.element.put_buffers(writer, getattr(owner, self.field))

    def get_buffers(self, reader: Reader, owner: Any) -> None:
        value = self.element.get_buffers(reader, getattr(owner, self.field))
        _set(owner, self.field, value)


class _CapacityText(_Step):
    """A string whose maximum count is a field of ours."""

    def __init__(self, field: str, capacity: str, element: TextElement) -> None:
        self.field = field
        self.capacity = capacity
        self.element = element
        self.alignment = element.alignment
        self.minimum = element.minimum

    def put(self, writer: Writer, owner: Any) -> None:
        self.element.put(writer, getattr(owner, self.field), getattr(owner, self.capacity))

    def get(self, reader: Reader, owner: Any) -> None:
        text, capacity = self.element.get_with_capacity(reader)
        _set(owner, self.field, text)
        _set(owner, self.capacity, capacity)


class _UnionField(_Step):
    """A non-encapsulated union; the tag comes from, or goes to, a field of the owner."""

    has_buffers = True

    def __init__(self, form: Form, field: str, union: types.Union, tag_is_sent: bool) -> None:
        self.packer = Packer(form.order + "I")
        self.field = field
        self.switch = union.switch
        self.tag_is_sent = tag_is_sent
        self.arms = {tag: _element(arm, form) for tag, arm in union.arms.items()}
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
            _set(owner, self.switch, tag)
        elif tag != getattr(owner, self.switch):
            raise NdrError(f"{self.field}: the tag is {tag}, {self.switch} says otherwise")
        reader.align(self.alignment)
        _set(owner, self.field, arm.get(reader))

    def put_buffers(self, writer: Writer, owner: Any) -> None:
        self.arm(getattr(owner, self.switch)).put_buffers(writer, getattr(owner, self.field))

    def get_buffers(self, reader: Reader, owner: Any) -> None:
        arm = self.arm(getattr(owner, self.switch))
        _set(owner, self.field, arm.get_buffers(reader, getattr(owner, self.field)))


class StructElement(Element):
    """A structure inside another construct: scalars first, referents when asked."""

    def __init__(self, kind: type[Structure], form: Form) -> None:
        self.kind = kind
        self.trailing: tuple[str, ArrayElement] | None = None
        fields = dict(fields_of(kind))
        last = next(reversed(fields), "")
        if isinstance(fields.get(last), types.Trailing):
            array = _element(fields[last].array, form)  # type: ignore[attr-defined] # just tested
            assert isinstance(array, ArrayElement)
            self.trailing = (last, array)
        self.steps = _steps(kind, form)
        alignments = [step.alignment for step in self.steps]
        if self.trailing:
            alignments.append(self.trailing[1].element.alignment)
        self.alignment = max(alignments, default=1)
        self.minimum = max(1, sum(step.minimum for step in self.steps))
        self.end_alignment = self.alignment if form.ndr64 else 1
        self.with_buffers = [step for step in self.steps if step.has_buffers]
        self.has_buffers = bool(self.with_buffers) or bool(
            self.trailing and self.trailing[1].has_buffers
        )
        self.presets = _presets(kind)
        self.checks = _count_checks(kind)

    def put(self, writer: Writer, value: Any) -> None:
        if self.trailing:
            self.trailing[1].put_count(writer, getattr(value, self.trailing[0]))
        writer.align(self.alignment)
        for step in self.steps:
            step.put(writer, value)
        if self.trailing:
            self.trailing[1].put_elements(writer, getattr(value, self.trailing[0]))
        writer.align(self.end_alignment)

    def get(self, reader: Reader) -> Any:
        count = self.trailing[1].get_count(reader) if self.trailing else 0
        reader.align(self.alignment)
        value = self.kind.__new__(self.kind)
        for field, default in self.presets:
            _set(value, field, default)
        for step in self.steps:
            step.get(reader, value)
        if self.trailing:
            _set(value, self.trailing[0], self.trailing[1].get_elements(reader, count))
        reader.align(self.end_alignment)
        return value

    def put_buffers(self, writer: Writer, value: Any) -> None:
        for step in self.with_buffers:
            step.put_buffers(writer, value)
        if self.trailing:
            self.trailing[1].put_buffers(writer, getattr(value, self.trailing[0]))

    def get_buffers(self, reader: Reader, value: Any) -> Any:
        for step in self.with_buffers:
            step.get_buffers(reader, value)
        if self.trailing:
            field, array = self.trailing
            _set(value, field, array.get_buffers(reader, getattr(value, field)))
        _check_counts(value, self.checks)
        return value


def fields_of(kind: type[Structure]) -> Iterator[tuple[str, WireType]]:
    """The fields in wire order, inherited ones first, with their annotations evaluated."""
    for owner in reversed(kind.__mro__):
        annotations = vars(owner).get("__annotations__", {})
        names = vars(sys.modules[owner.__module__])
        for field, text in annotations.items():
            if not field.startswith("_"):
                found = names.get(text)
                yield field, eval(text, names) if found is None else found


def _steps(kind: type[Structure], form: Form) -> list[_Step]:
    steps: list[_Step] = []
    run: list[tuple[str, Leaf]] = []
    fields = dict(fields_of(kind))
    for field, wire in fields.items():
        leaf = _leaf(field, wire, form)
        if leaf is not None and run and leaf.alignment > run[0][1].alignment:
            steps.append(_Run(form, run))
            run = []
        if leaf is not None:
            run.append((field, leaf))
            continue
        if run:
            steps.append(_Run(form, run))
            run = []
        step = _step(field, wire, form, fields)
        if step is not None:
            steps.append(step)
    if run:
        steps.append(_Run(form, run))
    return steps


def _step(field: str, wire: WireType, form: Form, fields: dict[str, WireType]) -> _Step | None:
    if isinstance(wire, types.NotSent | types.Trailing):
        return None
    if isinstance(wire, types.SizeOf):
        return _Count(form, field, wire)
    if isinstance(wire, types.Union):
        tag_is_sent = not isinstance(fields[wire.switch], types.NotSent)
        return _UnionField(form, field, wire, tag_is_sent)
    element = _element(wire, form)
    if isinstance(wire, types.Text) and wire.capacity:
        assert isinstance(element, TextElement)
        return _CapacityText(field, wire.capacity, element)
    return _Field(field, element)


def _element(wire: WireType, form: Form) -> Element:
    leaf = _leaf("value", wire, form)
    if leaf is not None:
        return LeafElement(form, leaf)
    match wire:
        case types.Text():
            return TextElement(form, wire.maximum, wire.multiple)
        case types.Bytes():
            return BytesElement(form, wire.maximum)
        case types.Array():
            return ArrayElement(form, _element(wire.element, form), wire.maximum)
        case types.Unique():
            return UniqueElement(form, lambda: _element(wire.target, form))
        case types.Struct():
            return StructElement(wire.kind, form)
    raise TypeError(f"{type(wire).__name__} cannot stand here")


def _leaf(field: str, wire: WireType, form: Form) -> Leaf | None:
    match wire:
        case types.Integer():
            return _integer_leaf(field, wire)
        case types.Fixed():
            return _fixed_leaf(wire, form)
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

    check = bounded(field, minimum, maximum)
    return Leaf(format, size, size, to_wire=clamp, from_wire=check)


def _fixed_leaf(wire: types.Fixed, form: Form) -> Leaf:
    kind, swap, size = wire.kind, wire.swap, wire.size
    format = f"{size}s"

    def sized(value: bytes) -> bytes:
        if len(value) != size:
            raise NdrError(f"{kind.__name__} of {len(value)} bytes, not {size}")
        return value

    if swap is None or form.order == "<":
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
    fields = kind._fields[:count]
    rest = [(field, kind._defaults[field]) for field in kind._fields[count:]]

    def build(items: tuple[int, ...]) -> Value:
        value = kind.__new__(kind)
        for field, item in zip(fields, items, strict=True):
            _set(value, field, item)
        for field, default in rest:
            _set(value, field, default)
        return value

    return build


def _presets(kind: type[Structure]) -> list[tuple[str, Any]]:
    return [
        (field, kind._defaults.get(field, 0))
        for field, wire in fields_of(kind)
        if isinstance(wire, types.NotSent)
    ]


def _count_checks(kind: type[Structure]) -> list[tuple[str, str]]:
    return [
        (field, wire.field)
        for field, wire in fields_of(kind)
        if isinstance(wire, types.SizeOf) and wire.strict
    ]


def _check_counts(value: Any, checks: list[tuple[str, str]]) -> None:
    for count_field, field in checks:
        array, count = getattr(value, field), getattr(value, count_field)
        if array is not None and len(array) != count:
            raise NdrError(f"{count_field} is {count}, {field} has {len(array)} elements")
