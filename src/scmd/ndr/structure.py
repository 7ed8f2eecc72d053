"""Structure: a value whose fields say how they lie on the wire.

Declared once, it encodes and decodes in every form: NDR 2.0 and NDR64, little and big
endian, wide and ANSI characters. Fields are read off the annotations at first use; `codec`
does the work.
"""

from __future__ import annotations

from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self

    from scmd.ndr.codec import ParametersCodec

NDR = 0
"""A form is a sum: NDR 2.0, little endian, wide characters, plus what follows."""
BIG_ENDIAN = 1
NDR64 = 2
ANSI = 4
"""One byte a character: UTF-8, our choice where Windows has the system's code page."""


class Structure(Value):
    """Base of what is declared for the wire: typed, frozen, keyword-only fields.

    Modules that declare one need `from __future__ import annotations`, and the names in the
    annotations at module level, `Annotated` from `scmd.ndr.types`.
    """

    _codecs: ClassVar[dict[int, ParametersCodec]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._codecs = {}

    def encode(self, form: int = NDR) -> bytes:
        """The fields as the parameters of a call. NdrError: a value that does not fit."""
        codec = self._codecs.get(form)
        if codec is None:
            codec = _compiled(type(self), form)
        return codec.encode(self)

    @classmethod
    def decode(cls, data: bytes, form: int = NDR) -> Self:
        """The parameters in `data`; what follows them is ignored. NdrError, and nothing else."""
        codec = cls._codecs.get(form)
        if codec is None:
            codec = _compiled(cls, form)
        value: Self = codec.decode(data)
        return value


def _compiled(kind: type[Structure], form: int) -> ParametersCodec:
    from scmd.ndr.codec import compile_parameters

    codec = kind._codecs[form] = compile_parameters(kind, form)
    return codec
