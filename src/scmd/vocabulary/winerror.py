"""The exception of the Win32-shaped calls: what `scmd.winsvc` and the client raise."""

from __future__ import annotations

from scmd.vocabulary.errors import Error, error_text


class WinError(Exception):
    """A Win32 call failed: `winerror` is the code, `funcname` the call, `strerror` the text.

    `args` is the triple (winerror, funcname, strerror). Without a text, the system message.
    """

    def __init__(self, winerror: int, funcname: str = "", strerror: str | None = None) -> None:
        text = error_text(winerror) if strerror is None else strerror
        super().__init__(int(winerror), funcname, text)
        self.winerror = int(winerror)
        self.funcname = funcname
        self.strerror = text

    def __str__(self) -> str:
        where = f"{self.funcname}: " if self.funcname else ""
        return f"{where}{self.strerror} ({self.winerror})"


def expect(kind: type, given: object, function: str, error: int = Error.INVALID_HANDLE) -> None:
    """Raise the error where something else was given, such as None."""
    if not isinstance(given, kind):
        raise WinError(error, function)


class BufferTooSmall(WinError):
    """An answer does not fit the size that was asked for; `needed` would do."""

    def __init__(self, winerror: int, funcname: str, needed: int) -> None:
        super().__init__(winerror, funcname)
        self.needed = needed
