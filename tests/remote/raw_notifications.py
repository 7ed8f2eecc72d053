"""Notifications by MS-SCMR's bytes, packed by hand; impacket carries them, sealed.

`raw_notifications.py ADDRESS PORT USER PASSWORD [ndr64]`: prints a JSON object, what was tried to
what came of it. Nothing here knows scmd's declarations, nor impacket's, whose own of the operations
47 to 49 do not fit the protocol. The service `Obedient` is made by the test.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from impacket.dcerpc.v5 import scmr, transport
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_PRIVACY, DCERPCException

NDR64 = ("71710533-BEBA-4937-8319-B5DBEF9CCC36", "1.0")
BIND, BIND_ACK = 11, 12
MULTIPLEX = 0x10
QUERY_STATUS, NOTIFY, RESULTS, CLOSE_NOTIFY = 6, 47, 48, 49
DELETE_PENDING, CREATED, DELETED = 0x200, 0x080, 0x100
STATES = {
    "START_PENDING": (0x002, 130),
    "STOP_PENDING": (0x004, 131),
    "RUNNING": (0x008, 135),
    "CONTINUE_PENDING": (0x010, 133),
    "PAUSE_PENDING": (0x020, 134),
    "PAUSED": (0x040, 135),
    "STOPPED": (0x001, 129),
}
"""The mask's bit, and the control that has `Obedient` enter the state."""


class Told(NamedTuple):
    """RGetNotifyResults' answer; level 1 has no `triggered` and no `names`."""

    level: int
    mask: int
    state: int
    status: int
    triggered: int | None
    names: str | None
    error: int


class Connection:
    """A connection whose bind asks to multiplex, and joins a group of connections."""

    def __init__(self, arguments: list[str], wide: bool, group: int = 0) -> None:
        address, port, user, password = arguments
        self.wide = wide
        self.group = group
        self._asked = self._answered = 0
        """The calls that the last PDUs were of."""
        self._early: dict[int, bytes] = {}
        rpc = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:{address}[{port}]")
        rpc.set_credentials(user, password)
        rpc.send, rpc.recv = self._sender(rpc.send), self._receiver(rpc.recv)
        self.dce = rpc.get_dce_rpc()
        self.dce.set_auth_type(10)
        self.dce.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_PRIVACY)
        self.dce.connect()
        syntax = {"transfer_syntax": NDR64} if wide else {}
        self.dce.bind(scmr.MSRPC_UUID_SCMR, **syntax)

    def _sender(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def sending(data: bytes, *options: Any, **more: Any) -> Any:
            if data[2] == BIND:
                flags, group = bytes([data[3] | MULTIPLEX]), struct.pack("<L", self.group)
                data = data[:3] + flags + data[4:20] + group + data[24:]
            self._asked = struct.unpack_from("<L", data, 12)[0]
            return send(data, *options, **more)

        return sending

    def _receiver(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        def receiving(*options: Any, **more: Any) -> Any:
            data = receive(*options, **more)
            if data[:2] == b"\5\0" and len(data) >= 24:
                self._answered = struct.unpack_from("<L", data, 12)[0]
                if data[2] == BIND_ACK:
                    self.group = struct.unpack_from("<L", data, 20)[0]
            return data

        return receiving

    def begin(self, operation: int, stub: bytes) -> int:
        """Ask, and do not wait; the call's number."""
        self.dce.call(operation, stub)
        return self._asked

    def end(self, call: int) -> bytes:
        """The answer to this call; those to others are kept for later."""
        while call not in self._early:
            answer: bytes = self.dce.recv()
            self._early[self._answered] = answer
        return self._early.pop(call)

    def call(self, operation: int, stub: bytes) -> bytes:
        return self.end(self.begin(operation, stub))

    def open(self, name: str) -> bytes:
        """A handle to the SCM, or to a service; not while other calls are under way."""
        scm = scmr.hROpenSCManagerW(self.dce)["lpScHandle"]
        if not name:
            return handle_bytes(scm)
        return handle_bytes(scmr.hROpenServiceW(self.dce, scm, name + "\0")["lpServiceHandle"])

    def register(self, handle: bytes, mask: int, level: int) -> tuple[bytes, int]:
        """RNotifyServiceStatusChange: the notify handle, and the error."""
        params = struct.pack("<QL", 0, mask) + bytes(32 + 36 + 8)
        if level == 2:
            params += bytes(4 + 4 + 8 if self.wide else 4 + 4)
        if self.wide:
            lead = bytes(4) + struct.pack("<LLLLQ", level, 0, level, 0, 0x20000)
        else:
            lead = struct.pack("<LLL", level, level, 0x20000)
        answer = self.call(NOTIFY, handle + lead + params + bytes(16))
        return answer[20:40], struct.unpack_from("<L", answer, 40)[0]

    def told(self, answer: bytes) -> Told:
        error = struct.unpack("<L", answer[-4:])[0]
        if not any(answer[:4]):
            return Told(0, 0, 0, 0, None, None, error)
        level = struct.unpack_from("<L", answer, 24 if self.wide else 12)[0]
        count = struct.unpack_from("<L", answer, 16 if self.wide else 8)[0]
        assert count == 1
        at = 48 if self.wide else 24
        mask, state, status = (struct.unpack_from("<L", answer, at + n)[0] for n in (8, 48, 80))
        if level == 1:
            return Told(level, mask, state, status, None, None, error)
        triggered = struct.unpack_from("<L", answer, at + 88)[0]
        at += 96 if self.wide else 92
        names = None
        if struct.unpack_from("<L", answer, at)[0]:
            at += 8 if self.wide else 4
            count = struct.unpack_from("<3Q" if self.wide else "<3L", answer, at)[2]
            at += 24 if self.wide else 12
            names = answer[at : at + 2 * count].decode("utf-16-le")
        return Told(level, mask, state, status, triggered, names, error)

    def results(self, notify: bytes) -> Told:
        return self.told(self.call(RESULTS, notify))

    def close_notify(self, notify: bytes) -> tuple[int, int]:
        """RCloseNotifyHandle: whether the notification had come, and the error."""
        answer = self.call(CLOSE_NOTIFY, notify)
        assert answer[:20] == bytes(20) or struct.unpack_from("<L", answer, 24)[0]
        fired, error = struct.unpack_from("<LL", answer, 20)
        return fired, error


def fault(call: Callable[[], object]) -> str:
    """The fault that is the answer to a call."""
    try:
        return f"none, but {call()}"
    except DCERPCException as error:
        return str(error)


def handle_bytes(handle: Any) -> bytes:
    return bytes(handle.getData()) if hasattr(handle, "getData") else bytes(handle)


class Session:
    """A connection that watches, one of its group that waits, and a stranger that acts."""

    def __init__(self, arguments: list[str], wide: bool) -> None:
        self.watcher = Connection(arguments, wide)
        self.waiter = Connection(arguments, wide, self.watcher.group)
        self.actor = Connection(arguments, wide)
        self.stranger = self.actor
        dce = self.actor.dce
        self.scm = scmr.hROpenSCManagerW(dce)["lpScHandle"]
        self.obedient = scmr.hROpenServiceW(dce, self.scm, "Obedient\0")["lpServiceHandle"]

    def control(self, control: int) -> None:
        scmr.hRControlService(self.actor.dce, self.obedient, control)

    def states(self, level: int) -> dict[str, Any]:
        """Each state entered while a request waits: on the same connection, and on the other."""
        said: dict[str, Any] = {}
        for name, (bit, control) in STATES.items():
            for waiter in (self.watcher, self.waiter):
                handle = self.watcher.open("Obedient")
                notify, error = self.watcher.register(handle, bit, level)
                assert not error, (name, error)
                if name == "RUNNING":
                    at_once = self.watcher.results(notify)
                    self.watcher.close_notify(notify)
                    notify, error = self.watcher.register(handle, bit, level)
                    said["RUNNING at once"] = at_once
                waiting = waiter.begin(RESULTS, notify)
                # Another call on the connection of the one that waits is not held up.
                assert waiter.call(QUERY_STATUS, handle)[-4:] == bytes(4)
                self.control(control)
                told = waiter.told(waiter.end(waiting))
                where = "same" if waiter is self.watcher else "second"
                said[f"{name} {where}"] = (*told, *self.watcher.close_notify(notify))
                if name == "STOPPED":
                    self.start()
        return said

    def start(self) -> None:
        scmr.hRStartServiceW(self.actor.dce, self.obedient)
        notify, _ = self.watcher.register(self.watcher.open("Obedient"), 0x8, 2)
        self.watcher.results(notify)

    def lifetime(self, level: int) -> dict[str, Any]:
        """CREATED and DELETED on the SCM's handle, DELETE_PENDING on the service's."""
        said: dict[str, Any] = {}
        scm = self.watcher.open("")
        watched, waiter, dce = self.watcher, self.waiter, self.actor.dce
        notify, error = watched.register(scm, CREATED | DELETED, level)
        assert not error
        waiting = waiter.begin(RESULTS, notify)
        made = scmr.hRCreateServiceW(dce, self.scm, "Brief\0", "Brief\0", lpBinaryPathName="x\0")
        said["CREATED"] = waiter.told(waiter.end(waiting))
        watched.close_notify(notify)
        service = watched.open("Brief")
        marked, error = watched.register(service, DELETE_PENDING, level)
        other = watched.open("Brief")
        aborted, _ = watched.register(other, 0x8, level)
        notify, _ = watched.register(scm, CREATED | DELETED, level)
        waiting = watched.begin(RESULTS, notify)
        scmr.hRDeleteService(dce, made["lpServiceHandle"])
        said["DELETE_PENDING"] = waiter.results(marked)
        said["marked without asking"] = waiter.results(aborted)
        # Both of these end with their handles, and the service with the last one of them.
        said["marked already"] = watched.register(other, 0x8, level)[1]
        for handle in (service, other):
            watched.call(0, handle)
        scmr.hRCloseServiceHandle(dce, made["lpServiceHandle"])
        said["DELETED"] = watched.told(watched.end(waiting))
        watched.close_notify(notify)
        return said

    def refusals(self) -> dict[str, Any]:
        """What the documentation refuses, and what cancels a request."""
        said: dict[str, Any] = {}
        watched, waiter = self.watcher, self.waiter
        service, scm = watched.open("Obedient"), watched.open("")
        said["level 3"] = fault(lambda: watched.register(service, 0x8, 3))
        said["mixed mask"] = watched.register(service, 0x88, 2)[1]
        said["empty mask"] = watched.register(service, 0, 2)[1]
        said["state of the SCM"] = watched.register(scm, 0x8, 2)[1]
        notify, _ = watched.register(service, 0x1, 2)
        said["second"] = watched.register(service, 0x1, 2)[1]
        said["of another group"] = self.actor.results(notify).error
        said["closed before"] = watched.close_notify(notify)
        notify, _ = watched.register(service, 0x1, 2)
        waiting = waiter.begin(RESULTS, notify)
        # On one connection, so that the wait has begun when the request is cancelled.
        said["closed while waiting"] = waiter.close_notify(notify)
        said["who waited"] = waiter.told(waiter.end(waiting)).error
        notify, _ = watched.register(service, 0x1, 2)
        waiting = watched.begin(RESULTS, notify)
        watched.call(0, service)
        said["service closed"] = watched.told(watched.end(waiting)).error
        return said


def main(*arguments: str) -> None:
    wide = arguments[4:] == ("ndr64",)
    session = Session(list(arguments[:4]), wide)
    said: dict[str, Any] = {"refusals": session.refusals()}
    for level in (1, 2):
        said[f"states {level}"] = session.states(level)
        said[f"lifetime {level}"] = session.lifetime(level)
    # What is under way when the connection dies: the test looks at what is left.
    notify, _ = session.watcher.register(session.watcher.open("Obedient"), 0x1, 2)
    session.watcher.begin(RESULTS, notify)
    print(json.dumps(said), flush=True)
    sys.stdin.read()


main(*sys.argv[1:])
