"""From declarations to code: the fields of a `Structure` become steps, once per form.

Neighbouring fields of fixed size are fused into one `struct` format, so that the common
small messages are a single pack or unpack. A structure is compiled in two ways: as the
parameters of a call, where what a pointer refers to follows it at once, and as an element,
where it follows the whole construct ([C706] 14.3.12.3).
"""

from __future__ import annotations

import sys
from struct import error as StructError

from scmd.ndr import types
from scmd.ndr.elements import (
    ArrayElement,
    BytesElement,
    Element,
    Form,
    LeafElement,
    Reader,
    TextElement,
    UniqueElement,
    VaryingElement,
    Writer,
)
from scmd.ndr.errors import NdrError
from scmd.ndr.leaves import Leaf, leaf_of
from scmd.ndr.steps import (
    CapacityField,
    CountField,
    PlainField,
    Run,
    Step,
    UnionField,
    setter,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from scmd.ndr.structure import Structure
    from scmd.ndr.types import WireType


def compile_parameters(kind: type[Structure], form: int) -> ParametersCodec:
    """The codec of a request or response."""
    meaning = Form(form)
    steps = _steps(kind, meaning)
    if len(steps) == 1 and isinstance(steps[0], Run) and steps[0].is_plain:
        return _SingleRunCodec(kind, steps[0])
    return ParametersCodec(kind, steps)


class ParametersCodec:
    """Encodes and decodes a parameter list: each parameter with its referents, in order."""

    def __init__(self, kind: type[Structure], steps: list[Step]) -> None:
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
        for set_field, default in self.presets:
            set_field(value, default)
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

    def __init__(self, kind: type[Structure], run: Run) -> None:
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
            self.set_trailing = setter(kind, last)
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
        for set_field, default in self.presets:
            set_field(value, default)
        for step in self.steps:
            step.get(reader, value)
        if self.trailing:
            self.set_trailing(value, self.trailing[1].get_elements(reader, count))
        reader.align(self.end_alignment)
        if self.checks and not self.has_buffers:
            # All of it is there: nobody will ask for its buffers.
            _check_counts(value, self.checks)
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
            self.set_trailing(value, array.get_buffers(reader, getattr(value, field)))
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


def _steps(kind: type[Structure], form: Form) -> list[Step]:
    steps: list[Step] = []
    run: list[tuple[str, Leaf]] = []
    fields = dict(fields_of(kind))
    for field, wire in fields.items():
        leaf = leaf_of(field, wire, form)
        if leaf is not None and run and leaf.alignment > run[0][1].alignment:
            steps.append(Run(form, kind, run))
            run = []
        if leaf is not None:
            run.append((field, leaf))
            continue
        if run:
            steps.append(Run(form, kind, run))
            run = []
        step = _step(kind, field, wire, form)
        if step is not None:
            steps.append(step)
    if run:
        steps.append(Run(form, kind, run))
    return steps


def _step(kind: type[Structure], field: str, wire: WireType, form: Form) -> Step | None:
    if isinstance(wire, types.NotSent | types.Trailing):
        return None
    if isinstance(wire, types.SizeOf):
        return CountField(form, kind, field, wire)
    if isinstance(wire, types.Union):
        arms = {tag: _element(arm, form) for tag, arm in wire.arms.items()}
        tag_is_sent = not isinstance(dict(fields_of(kind))[wire.switch], types.NotSent)
        return UnionField(form, kind, field, wire.switch, arms, tag_is_sent)
    element = _element(wire, form)
    if isinstance(wire, types.Text | types.Varying) and wire.capacity:
        assert isinstance(element, TextElement | VaryingElement)
        return CapacityField(kind, field, wire.capacity, element)
    return PlainField(kind, field, element)


def _element(wire: WireType, form: Form) -> Element:
    leaf = leaf_of("value", wire, form)
    if leaf is not None:
        return LeafElement(form, leaf)
    match wire:
        case types.Text():
            return TextElement(form, wire.maximum, wire.multiple)
        case types.Bytes():
            return BytesElement(form, wire.maximum)
        case types.Varying():
            return VaryingElement(form, _element(wire.element, form), wire.maximum)
        case types.Array():
            return ArrayElement(form, _element(wire.element, form), wire.maximum)
        case types.Unique():
            return UniqueElement(form, lambda: _element(wire.target, form))
        case types.Struct():
            return StructElement(wire.kind, form)
    raise TypeError(f"{type(wire).__name__} cannot stand here")


def _presets(kind: type[Structure]) -> list[tuple[Callable[[Any, Any], None], Any]]:
    return [
        (setter(kind, field), kind._defaults.get(field, 0))
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
