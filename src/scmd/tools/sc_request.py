"""What a command of sc is given: its arguments, and where its output goes."""

from __future__ import annotations

from scmd.tools.sc_grammar import UsageError
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


def opened(calls: Calls, request: Request, access: int, prefix: str = "") -> ContextHandle:
    """A handle to the service the request names; a failure is `<prefix>OpenService FAILED n`."""
    scm = calls.open_scm()
    try:
        return calls.open_service(scm, request.name(), access)
    except WinError as error:
        raise WinError(error.winerror, f"{prefix}{error.funcname}", error.strerror) from error
