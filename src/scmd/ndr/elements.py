"""Element codecs: how one value of each type is put on the wire and taken off it.

An element has two halves, as NDR does: what stands in place (`put`, `get`) and what its
pointers refer to, which comes after the whole construct it is in (`put_buffers`,
`get_buffers`). Between the halves of decoding a pointer's value is its referent id. Every
count is checked against its limit and against the bytes there are before anything is made.
"""

from __future__ import annotations

from struct import Struct as Packer

from scmd.ndr.errors import NdrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from scmd.ndr.leaves import Leaf

FIRST_REFERENT = 0x0002_0000


class Form:
    """What a form means in bytes: order, width of counts and pointers, characters."""

    __slots__ = ("ansi", "characters", "count", "count_size", "ndr64", "order", "text", "unit")

    def __init__(self, form: int) -> None:
        big, self.ndr64, self.ansi = bool(form & 1), bool(form & 2), bool(form & 4)
        self.order = ">" if big else "<"
        self.count_size = 8 if self.ndr64 else 4
        self.count = Packer(self.order + ("Q" if self.ndr64 else "I"))
        self.text = Packer(self.order + ("3Q" if self.ndr64 else "3I"))
        self.unit = 1 if self.ansi else 2
        if self.ansi:
            self.characters = ("utf-8", "surrogateescape")
        else:
            self.characters = ("utf-16-be" if big else "utf-16-le", "surrogatepass")


class Writer:
    """A stub being written."""

    __slots__ = ("data", "referent")

    def __init__(self) -> None:
        self.data = bytearray()
        self.referent = FIRST_REFERENT

    def align(self, alignment: int) -> None:
        pad = -len(self.data) & (alignment - 1)
        if pad:
            self.data += bytes(pad)

    def next_referent(self) -> int:
        self.referent += 4
        return self.referent


class Reader:
    """A stub being read; `position` only grows."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def align(self, alignment: int) -> None:
        self.position = (self.position + alignment - 1) & -alignment

    def unpack(self, packer: Packer, alignment: int) -> tuple[Any, ...]:
        """One fixed run at its alignment; struct.error when it is not all there."""
        start = (self.position + alignment - 1) & -alignment
        self.position = start + packer.size
        return packer.unpack_from(self.data, start)

    def take(self, size: int) -> bytes:
        start = self.position
        self.position = end = start + size
        if end > len(self.data):
            raise NdrError(f"{end - len(self.data)} bytes are missing at the end")
        return self.data[start:end]

    def check_count(self, count: int, limit: int, each: int) -> None:
        """Refuse more elements than allowed, or than the bytes that are left could hold."""
        if count > limit:
            raise NdrError(f"{count} elements, at most {limit} are allowed")
        if count * each > len(self.data) - self.position:
            raise NdrError(f"{count} elements do not fit in the bytes there are")


class Element:
    """Base of the element codecs; `minimum` is the least number of bytes one takes."""

    alignment = 1
    minimum = 1
    has_buffers = False

    def put(self, writer: Writer, value: Any) -> None:
        raise NotImplementedError

    def get(self, reader: Reader) -> Any:
        raise NotImplementedError

    def put_buffers(self, writer: Writer, value: Any) -> None:
        """Write what the value's pointers refer to."""

    def get_buffers(self, reader: Reader, value: Any) -> Any:
        """The value with its pointers followed."""
        return value


class LeafElement(Element):
    """A value of fixed size: one or several items of a `struct` format."""

    def __init__(self, form: Form, leaf: Leaf) -> None:
        self.packer = Packer(form.order + leaf.format)
        self.alignment = leaf.alignment
        self.minimum = self.packer.size
        self.leaf = leaf

    def put(self, writer: Writer, value: Any) -> None:
        writer.align(self.alignment)
        writer.data += self.packer.pack(*self.leaf.spread(value))

    def get(self, reader: Reader) -> Any:
        values = reader.unpack(self.packer, self.alignment)
        return self.leaf.gather(values, 0)


class TextElement(Element):
    """A conformant varying string; see `types.Text`."""

    def __init__(self, form: Form, maximum: int, multiple: bool) -> None:
        self.alignment = form.count_size
        self.header = form.text
        self.unit = form.unit
        self.encoding, self.errors = form.characters
        self.terminator = bytes(form.unit)
        self.maximum = maximum
        self.multiple = multiple
        self.minimum = self.header.size + self.unit

    def put(self, writer: Writer, value: Any) -> None:
        self.put_with_capacity(writer, value, 0)

    def put_with_capacity(self, writer: Writer, value: Any, capacity: int) -> None:
        if value is None:
            raise NdrError("a string is required, not None")
        if "\0" in value and not self.multiple:
            raise NdrError("a string on the wire ends at its first NUL")
        raw = value.encode(self.encoding, self.errors)
        count = len(raw) // self.unit + 1
        if count > self.maximum:
            raise NdrError(f"a string of {count} units, at most {self.maximum} are allowed")
        writer.align(self.alignment)
        writer.data += self.header.pack(max(count, min(capacity, self.maximum)), 0, count)
        writer.data += raw
        writer.data += self.terminator

    def get(self, reader: Reader) -> str:
        return self.get_with_capacity(reader)[0]

    def get_with_capacity(self, reader: Reader) -> tuple[str, int]:
        capacity, offset, count = reader.unpack(self.header, self.alignment)
        if offset or not count or not count <= capacity <= self.maximum:
            raise NdrError(f"string counts {capacity}, {offset}, {count}; limit {self.maximum}")
        raw = reader.take(count * self.unit)
        if raw[-self.unit :] != self.terminator:
            raise NdrError("a string does not end with a NUL")
        text = raw[: -self.unit].decode(self.encoding, self.errors)
        if "\0" in text and not self.multiple:
            text = text[: text.index("\0")]
        return text, capacity


class BytesElement(Element):
    """A conformant array of bytes."""

    def __init__(self, form: Form, maximum: int) -> None:
        self.count = form.count
        self.alignment = self.minimum = form.count_size
        self.maximum = maximum

    def put(self, writer: Writer, value: Any) -> None:
        if value is None or len(value) > self.maximum:
            raise NdrError(f"at most {self.maximum} bytes are allowed and required")
        writer.align(self.alignment)
        writer.data += self.count.pack(len(value))
        writer.data += value

    def get(self, reader: Reader) -> bytes:
        (count,) = reader.unpack(self.count, self.alignment)
        reader.check_count(count, self.maximum, 1)
        return reader.take(count)


class ArrayElement(Element):
    """A conformant array of elements; a tuple in Python."""

    def __init__(self, form: Form, element: Element, maximum: int) -> None:
        self.count = form.count
        self.count_size = self.minimum = form.count_size
        self.alignment = max(form.count_size, element.alignment)
        self.element = element
        self.maximum = maximum
        self.has_buffers = element.has_buffers

    def put(self, writer: Writer, value: Any) -> None:
        self.put_count(writer, value)
        self.put_elements(writer, value)

    def put_count(self, writer: Writer, value: Any) -> None:
        if value is None or len(value) > self.maximum:
            raise NdrError(f"at most {self.maximum} elements are allowed and required")
        writer.align(self.count_size)
        writer.data += self.count.pack(len(value))

    def put_elements(self, writer: Writer, value: Any) -> None:
        put = self.element.put
        for item in value:
            put(writer, item)

    def get(self, reader: Reader) -> tuple[Any, ...]:
        return self.get_elements(reader, self.get_count(reader))

    def get_count(self, reader: Reader) -> int:
        (count,) = reader.unpack(self.count, self.count_size)
        reader.check_count(count, self.maximum, self.element.minimum)
        return int(count)

    def get_elements(self, reader: Reader, count: int) -> tuple[Any, ...]:
        get = self.element.get
        return tuple([get(reader) for _ in range(count)])

    def put_buffers(self, writer: Writer, value: Any) -> None:
        for item in value:
            self.element.put_buffers(writer, item)

    def get_buffers(self, reader: Reader, value: Any) -> Any:
        if not self.has_buffers:
            return value
        get_buffers = self.element.get_buffers
        return tuple([get_buffers(reader, item) for item in value])


class VaryingElement(ArrayElement):
    """A conformant varying array of elements; a tuple in Python."""

    def __init__(self, form: Form, element: Element, maximum: int) -> None:
        super().__init__(form, element, maximum)
        self.header = form.text
        self.minimum = self.header.size

    def put_with_capacity(self, writer: Writer, value: Any, capacity: int) -> None:
        if value is None or len(value) > self.maximum:
            raise NdrError(f"at most {self.maximum} elements are allowed and required")
        writer.align(self.count_size)
        writer.data += self.header.pack(max(len(value), min(capacity, self.maximum)), 0, len(value))
        self.put_elements(writer, value)

    def get_with_capacity(self, reader: Reader) -> tuple[tuple[Any, ...], int]:
        capacity, offset, count = reader.unpack(self.header, self.count_size)
        if offset or not count <= capacity <= self.maximum:
            raise NdrError(f"array counts {capacity}, {offset}, {count}; limit {self.maximum}")
        reader.check_count(count, self.maximum, self.element.minimum)
        return self.get_elements(reader, count), capacity


class UniqueElement(Element):
    """A unique pointer; its target is compiled when one is first followed."""

    has_buffers = True

    def __init__(self, form: Form, compile_target: Callable[[], Element]) -> None:
        self.pointer = form.count
        self.alignment = self.minimum = form.count_size
        self.compile_target = compile_target
        self.compiled: Element | None = None

    @property
    def target(self) -> Element:
        if self.compiled is None:
            self.compiled = self.compile_target()
        return self.compiled

    def put(self, writer: Writer, value: Any) -> None:
        writer.align(self.alignment)
        writer.data += self.pointer.pack(0 if value is None else writer.next_referent())

    def put_buffers(self, writer: Writer, value: Any) -> None:
        if value is not None:
            target = self.target
            target.put(writer, value)
            if target.has_buffers:
                target.put_buffers(writer, value)

    def get(self, reader: Reader) -> Any:
        return reader.unpack(self.pointer, self.alignment)[0]

    def get_buffers(self, reader: Reader, value: Any) -> Any:
        if not value:
            return None
        target = self.target
        result = target.get(reader)
        return target.get_buffers(reader, result) if target.has_buffers else result
