"""What a command of sc is given: its arguments, and where its output goes."""

from __future__ import annotations

from scmd.tools.sc_grammar import UsageError, no_more, number
from scmd.vocabulary.service import ServiceAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle


class Request:
    """One command line after the verb. `json` is set for queries that got `--json`."""

    __slots__ = ("arguments", "json", "verb", "write")

    def __init__(
        self, verb: str, arguments: list[str], json: bool, write: Callable[[str], object]
    ) -> None:
        self.verb = verb
        self.arguments = arguments
        self.json = json
        self.write = write

    def name(self) -> str:
        """The service name, the first argument. UsageError: there is none."""
        if not self.arguments:
            raise UsageError("")
        return self.arguments[0]

    def second(self) -> str:
        """The second and last argument. UsageError: there are not just two."""
        if len(self.arguments) < 2:
            raise UsageError("")
        no_more(self.arguments, 2)
        return self.arguments[1]

    def size(self) -> int | None:
        """SC's bufsize, the second and last argument; None: as much as it takes."""
        self.name()
        no_more(self.arguments, 2)
        return number(self.arguments[1], "bufsize") if self.arguments[1:] else None

    def write_json(self, document: object) -> None:
        from scmd.tools.sc_json import dump

        self.write(dump(document))


def opened(calls: Calls, request: Request, access: int, prefix: str = "") -> ContextHandle:
    """A handle to the service the request names; a failure is `<prefix>OpenService FAILED n`."""
    scm = calls.open_scm()
    try:
        return calls.open_service(scm, request.name(), access)
    except WinError as error:
        raise WinError(error.winerror, f"{prefix}{error.funcname}", error.strerror) from error


def queried(calls: Calls, request: Request) -> ContextHandle:
    """A handle to the service whose configuration is asked for."""
    return opened(calls, request, ServiceAccess.QUERY_CONFIG)
