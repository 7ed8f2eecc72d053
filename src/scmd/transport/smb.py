"""A named pipe of another machine, by SMB (the extra `smb`)."""

from __future__ import annotations

import uuid
from threading import Timer

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from scmd.rpc.security.secret_cipher import encrypted

PORT = 445
"""Where SMB is."""
_ACCESS_DENIED = (0xC000_0022, 0xC000_006D, 0xC000_006E, 0xC000_0072)
_NO_PIPE = (0xC000_0034, 0xC000_00AC, 0xC000_0236)
"""STATUS_OBJECT_NAME_NOT_FOUND, PIPE_NOT_AVAILABLE, CONNECTION_REFUSED: nobody serves it."""


class SmbFailed(Exception):
    """The pipe cannot be opened, or has broken."""


class _Limit:
    """What is done within may take so long: then the connection ends, and TimeoutError."""

    def __init__(self, connection: Connection, seconds: float | None) -> None:
        self._connection = connection
        self._timer = None if seconds is None else Timer(seconds, self._expire)
        self._is_over = False

    def _expire(self) -> None:
        self._is_over = True
        self._connection.disconnect(close=False)

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_over:
            raise TimeoutError("it does not answer") from error


class PipeStream:
    """One open pipe, as a stream socket: `send`, `receive`, `set_timeout`, `close`."""

    def __init__(
        self,
        host: str,
        pipe: str,
        user: str,
        password: str | None,
        timeout: float,
        port: int = PORT,
    ) -> None:
        """Log in and open; PermissionError: the credentials are refused. OSError, SmbFailed.

        `timeout` in seconds is for connecting, for logging in and opening, and for each call
        until `set_timeout`.
        """
        self._timeout: float | None = timeout
        self._connection = Connection(uuid.uuid4(), host, port, require_signing=True)
        try:
            self._connection.connect(timeout=timeout)
            with _Limit(self._connection, timeout):
                self._pipe = self._opened(host, pipe, user, password)
        except ValueError as error:
            # So smbprotocol says that there is nobody.
            raise SmbFailed(str(error)) from error
        except SMBException as error:
            self._connection.disconnect(close=False)
            said = str(error).removeprefix("Received unexpected status from the server: ")
            status = getattr(error, "status", 0)
            if status in _ACCESS_DENIED:
                raise PermissionError(1, f"the credentials are refused ({said})") from error
            if status in _NO_PIPE:
                said = f"nobody serves \\PIPE\\{pipe} there ({said})"
            raise SmbFailed(said) from error
        except BaseException:
            self._connection.disconnect(close=False)
            raise

    def _opened(self, host: str, pipe: str, user: str, password: str | None) -> Open:
        self._session = Session(self._connection, user or None, password, require_encryption=False)
        self._session.connect()
        tree = TreeConnect(self._session, f"\\\\{host}\\IPC$")
        tree.connect()
        opened = Open(tree, pipe)
        opened.create(
            ImpersonationLevel.Identification,
            FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE,
            0,
            ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE,
            CreateDisposition.FILE_OPEN,
            CreateOptions.FILE_NON_DIRECTORY_FILE,
        )
        return opened

    def send(self, data: bytes) -> None:
        """Write all of it."""
        try:
            position = 0
            while position < len(data):
                piece = data[position : position + 65_536]
                with _Limit(self._connection, self._timeout):
                    position += self._pipe.write(piece, 0)
        except SMBException as error:
            raise OSError(f"SMB: {error}") from error

    def receive(self, count: int) -> bytes:
        """What has arrived, up to `count` bytes."""
        try:
            with _Limit(self._connection, self._timeout):
                return bytes(self._pipe.read(0, min(count, 65_536)))
        except SMBException as error:
            raise OSError(f"SMB: {error}") from error

    def set_timeout(self, timeout: float | None) -> None:
        """The longest a later send or receive may take."""
        self._timeout = timeout

    def shut_down(self) -> None:
        self.close()

    def close(self) -> None:
        """May be called again."""
        self._connection.disconnect(close=False)

    def concealed(self, secret: bytes) -> bytes:
        """A secret in a call, as a named pipe's server expects it."""
        return encrypted(secret, self._session.application_key)

    def diagnosis(self) -> str:
        return ""
