"""Watchers in numbers: raw connections that ask for notifications and decode what comes later.

A watcher of `scmd.winsvc` has a thread; a thousand of those would measure Python's. Here one
process has them all, and one has been told when its bytes are there.
"""

from __future__ import annotations

import select
import socket
import time
from typing import TypeVar

from scmd.client.connection import local_path
from scmd.client.status_requests import registration
from scmd.ndr.structure import Structure
from scmd.ndr.values import ContextHandle
from scmd.rpc.client import ClientConnection, Response
from scmd.rpc.interface import Operation
from scmd.svcctl import administration, opening
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.service import ScmAccess, ServiceAccess

RECEIVE_BYTES = 65536

Req = TypeVar("Req", bound=Structure)
Resp = TypeVar("Resp", bound=Structure)


class Watcher:
    """One connection to the local SCM; many requests may be outstanding on it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(local_path())
        self._rpc = ClientConnection()
        self.socket.send(self._rpc.bind([SVCCTL]))
        self._rpc.receive_data(self.socket.recv(RECEIVE_BYTES))
        request = opening.OpenScManagerRequest(database=None, desired_access=ScmAccess.CONNECT)
        self._scm = self._call(opening.OPEN_SC_MANAGER_W, request).handle

    def close(self) -> None:
        self.socket.close()

    def open(self, name: str) -> ContextHandle:
        """A handle to a service, which may have one request outstanding."""
        request = opening.OpenServiceRequest(
            scm=self._scm, name=name, desired_access=ServiceAccess.QUERY_STATUS
        )
        return self._call(opening.OPEN_SERVICE_W, request).handle

    def ask(self, service: ContextHandle, mask: int) -> None:
        """Have a request outstanding."""
        request = registration(service, mask)
        answer = self._call(administration.NOTIFY_SERVICE_STATUS_CHANGE, request)
        if answer.error:
            raise RuntimeError(f"a request was refused: {answer.error}")
        self._get_results(answer.notify_handle)

    def _get_results(self, notify: ContextHandle) -> None:
        operation = administration.GET_NOTIFY_RESULTS
        stub = operation.encode_request(administration.NotifyHandleRequest(notify_handle=notify))
        self.socket.send(self._rpc.call(operation.interface, operation.opnum, stub)[1])

    def told(self) -> list[administration.GetNotifyResultsResponse]:
        """The results that have come."""
        events = self._rpc.receive_data(self.socket.recv(RECEIVE_BYTES))
        decode = administration.GET_NOTIFY_RESULTS.decode_response
        return [decode(event.stub, event.form) for event in events if isinstance(event, Response)]

    def _call(self, operation: Operation[Req, Resp], request: Req) -> Resp:
        """Ask and wait, while nothing that is outstanding comes."""
        stub = operation.encode_request(request)
        self.socket.send(self._rpc.call(operation.interface, operation.opnum, stub)[1])
        (event,) = self._rpc.receive_data(self.socket.recv(RECEIVE_BYTES))
        if not isinstance(event, Response):
            raise RuntimeError(f"{operation.name} failed")
        return operation.decode_response(event.stub, event.form)


def all_told(watchers: list[Watcher], patience_s: float) -> float:
    """Wait until there is something for each; the instant when the last one's had come."""
    poll = select.epoll()
    for watcher in watchers:
        poll.register(watcher.socket, select.EPOLLIN | select.EPOLLONESHOT)
    left, end = len(watchers), time.monotonic() + patience_s
    while left:
        left -= len(poll.poll(max(0.0, end - time.monotonic())))
        if time.monotonic() > end:
            raise RuntimeError(f"{left} watchers were not told")
    poll.close()
    return time.monotonic()
