"""The type language: what a field of a `Structure` can be on the wire.

A field's annotation is what Python sees and, in `Annotated`, what the wire has. The classes
here only describe; `codec` turns descriptions into code, once per byte order and syntax.
Strings take their character size from the operation (wide or ANSI), not from the type.
"""

from __future__ import annotations

from scmd.ndr.values import ContextHandle, Guid, swap_guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Annotated as Annotated

    from scmd.ndr.structure import Structure
    from scmd.vocabulary.value import Value
else:

    class Annotated:
        """Stands in for typing.Annotated at run time: the wire's type is what remains."""

        def __class_getitem__(cls, items):
            return items[-1]


class WireType:
    """Base of every description."""

    __slots__ = ()


class Integer(WireType):
    """An unsigned integer of `size` bytes, naturally aligned, within `minimum` to `maximum`.

    Out of range is refused when decoding; encoding clamps, as an answer must ([MS-SCMR]
    BOUNDED_DWORD_4K, 8K, 256K) and a buffer size may.
    """

    __slots__ = ("maximum", "minimum", "size")

    def __init__(self, size: int, minimum: int = 0, maximum: int | None = None) -> None:
        self.size = size
        self.minimum = minimum
        self.maximum = maximum


class SizeOf(WireType):
    """A u32 that counts the elements of another field ([size_is]); written by the encoder.

    Where the counted pointer is None the field's own value is written. `strict=False`
    accepts any value when decoding: the array's own count, bounded, then decides.
    """

    __slots__ = ("field", "maximum", "strict")

    def __init__(self, field: str, maximum: int, *, strict: bool = True) -> None:
        self.field = field
        self.maximum = maximum
        self.strict = strict


class Count(WireType):
    """A count or an offset of an array, where a structure declares it: 8 bytes in NDR64, else 4."""

    __slots__ = ()


class Fixed(WireType):
    """Exactly `size` bytes, aligned as said, turned round by `swap` for big endian."""

    __slots__ = ("alignment", "kind", "size", "swap")

    def __init__(
        self,
        size: int,
        alignment: int = 1,
        kind: type[bytes] = bytes,
        swap: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.size = size
        self.alignment = alignment
        self.kind = kind
        self.swap = swap


class Dwords(WireType):
    """A structure of u32 alone: the first `count` fields of a vocabulary value."""

    __slots__ = ("count", "kind")

    def __init__(self, kind: type[Value], count: int) -> None:
        self.kind = kind
        self.count = count


class Text(WireType):
    """A NUL-terminated conformant varying string of at most `maximum` units, NUL included.

    `capacity` names a `NotSent` field that holds the maximum count. `multiple` keeps NULs
    inside the text, where strict NDR ends at the first.
    """

    __slots__ = ("capacity", "maximum", "multiple")

    def __init__(
        self, maximum: int, *, capacity: str | None = None, multiple: bool = False
    ) -> None:
        self.maximum = maximum
        self.capacity = capacity
        self.multiple = multiple


class Bytes(WireType):
    """A conformant array of at most `maximum` bytes."""

    __slots__ = ("maximum",)

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum


class Array(WireType):
    """A conformant array of at most `maximum` elements; a tuple in Python."""

    __slots__ = ("element", "maximum")

    def __init__(self, element: WireType, maximum: int) -> None:
        self.element = element
        self.maximum = maximum


class Varying(Array):
    """A conformant varying array that begins at 0; `capacity` names a `NotSent` field.

    The field holds the maximum count, which may be more than the elements there are.
    """

    __slots__ = ("capacity",)

    def __init__(self, element: WireType, maximum: int, capacity: str) -> None:
        super().__init__(element, maximum)
        self.capacity = capacity


class Unique(WireType):
    """A pointer that may be NULL (None): a referent id, then, where it belongs, the target."""

    __slots__ = ("target",)

    def __init__(self, target: WireType) -> None:
        self.target = target


class Struct(WireType):
    """Another structure, in place."""

    __slots__ = ("kind",)

    def __init__(self, kind: type[Structure]) -> None:
        self.kind = kind


class Union(WireType):
    """A non-encapsulated union: the tag again, then the arm that the field `switch` selects.

    A tag without an arm is NdrError with INVALID_TAG, in both directions.
    """

    __slots__ = ("arms", "switch")

    def __init__(self, switch: str, arms: Mapping[int, WireType]) -> None:
        self.switch = switch
        self.arms = arms


class Trailing(WireType):
    """The conformant array that ends a structure: its count stands before the structure."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


class NotSent(WireType):
    """A field of ours that the wire does not have, or has in another field's count."""

    __slots__ = ()


def _swap_handle(raw: bytes) -> bytes:
    return raw[3::-1] + raw[7:3:-1] + raw[9:7:-1] + raw[11:9:-1] + raw[12:]


BYTE = Annotated[int, Integer(1)]
WORD = Annotated[int, Integer(2)]
DWORD = Annotated[int, Integer(4)]
HYPER = Annotated[int, Integer(8)]
HANDLE = Annotated[ContextHandle, Fixed(20, 4, ContextHandle, _swap_handle)]
GUID = Annotated[Guid, Fixed(16, 4, Guid, swap_guid)]
UniqueString = Annotated[str | None, Unique(Text(8192))]
UniqueDword = Annotated[int | None, Unique(Integer(4))]
DWORD_4K = Annotated[int, Integer(4, 0, 4096)]
DWORD_8K = Annotated[int, Integer(4, 0, 8192)]
DWORD_256K = Annotated[int, Integer(4, 0, 262_144)]
Buffer8K = Annotated[bytes, Bytes(8192)]
Buffer256K = Annotated[bytes, Bytes(262_144)]
