"""Interfaces and operations: which number means which request and response.

Declaring is all that happens here; connections carry the stubs, `server` and `client` act.
"""

from __future__ import annotations

from scmd.ndr.structure import NDR, Structure
from scmd.ndr.values import Guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    Request = TypeVar("Request", bound=Structure)
    Response = TypeVar("Response", bound=Structure)
else:
    Request, Response = Structure, Structure

    class Generic:
        __slots__ = ()

        def __class_getitem__(cls, items):
            return cls


class Operation(Generic[Request, Response]):
    """One method: its number, its IDL name and its two structures.

    `form` of the four codecs is the connection's syntax and byte order; the operation adds
    its character size itself.
    """

    __slots__ = ("charset", "interface", "name", "opnum", "request", "response")

    def __init__(
        self,
        interface: Interface,
        opnum: int,
        name: str,
        request: type[Request],
        response: type[Response],
        charset: int,
    ) -> None:
        self.interface = interface
        self.opnum = opnum
        self.name = name
        self.request = request
        self.response = response
        self.charset = charset
        """`ndr.structure.ANSI` or 0."""

    def __repr__(self) -> str:
        return f"<{self.interface.name} {self.opnum} {self.name}>"

    def encode_request(self, request: Request, form: int = NDR) -> bytes:
        return request.encode(form | self.charset)

    def decode_request(self, stub: bytes, form: int = NDR) -> Request:
        return self.request.decode(stub, form | self.charset)

    def encode_response(self, response: Response, form: int = NDR) -> bytes:
        return response.encode(form | self.charset)

    def decode_response(self, stub: bytes, form: int = NDR) -> Response:
        return self.response.decode(stub, form | self.charset)


if TYPE_CHECKING:
    AnyOperation = Operation[Structure, Structure]


class Interface:
    """A UUID, a version and the operations declared so far, by number."""

    __slots__ = ("major", "minor", "name", "operations", "uuid")

    def __init__(self, name: str, uuid: str, major: int, minor: int) -> None:
        self.name = name
        self.uuid = Guid.parse(uuid)
        self.major = major
        self.minor = minor
        self.operations: dict[int, AnyOperation] = {}

    def __repr__(self) -> str:
        return f"<{self.name} {self.major}.{self.minor}>"

    def operation(
        self,
        opnum: int,
        name: str,
        request: type[Request],
        response: type[Response],
        charset: int = 0,
    ) -> Operation[Request, Response]:
        """Declare a method; the number must be free."""
        assert opnum not in self.operations, f"{self.name} {opnum} is declared twice"
        operation = Operation(self, opnum, name, request, response, charset)
        self.operations[opnum] = operation  # type: ignore[assignment] # erased on purpose
        return operation
