"""Bytes that are no RPC, and clients that misbehave, on the socket everybody can reach."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import secrets
import socket
import struct
import threading
from collections.abc import Callable

import pytest

from scmd.rpc.client import ClientConnection
from scmd.scmd_interface.operations import SCMD
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.service import ServiceState
from tests.system import programs
from tests.system.machine import LIMIT_S, Machine, eventually

BIND = ClientConnection().bind([SVCCTL])


def connect(machine: Machine) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(LIMIT_S)
    client.connect(str(machine.runtime / "scm.sock"))
    return client


def header(kind: int, length: int, call: int = 1, flags: int = 3) -> bytes:
    return struct.pack("<4B4sHHI", 5, 0, kind, flags, b"\x10\0\0\0", length, 0, call)


def request(stub: bytes, opnum: int, context: int = 0) -> bytes:
    body = struct.pack("<IHH", len(stub), context, opnum) + stub
    return header(0, 16 + len(body)) + body


def some_garbage(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(1, 5000))


def some_header(dice: random.Random) -> bytes:
    return header(dice.randrange(256), dice.randrange(65_536), flags=dice.randrange(256))


def some_mangled_bind(dice: random.Random) -> bytes:
    data = bytearray(BIND)
    for _ in range(dice.randrange(1, 4)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)


def some_half_bind(dice: random.Random) -> bytes:
    return BIND[: dice.randrange(1, len(BIND))]


def some_calls(dice: random.Random) -> bytes:
    """Bound properly, then operations with whatever arguments."""
    both = ClientConnection().bind([SVCCTL, SCMD])
    calls = [
        request(dice.randbytes(dice.randrange(300)), dice.randrange(70), dice.randrange(3))
        for _ in range(dice.randrange(1, 10))
    ]
    return both + b"".join(calls)


def some_fragments(dice: random.Random) -> bytes:
    """A request that begins and never ends."""
    body = struct.pack("<IHH", 0xFFFFFFFF, 0, 15) + b"x" * 4000
    first = header(0, 16 + len(body), flags=1) + body
    return BIND + first + header(0, 16 + len(body), flags=0) + body


KINDS: list[Callable[[random.Random], bytes]] = [
    some_garbage,
    some_header,
    some_mangled_bind,
    some_half_bind,
    some_calls,
    some_fragments,
]


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\xff" * 100, header(0, 16), header(11, 15)],
    ids=["http", "zeros", "ones", "request first", "too short"],
)
def test_what_is_no_rpc_closes_its_connection_only(machine: Machine, data: bytes) -> None:
    bystander = machine.scm
    assert bystander.services() == []
    with connect(machine) as client:
        client.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(65_536):
                pass
    assert bystander.services() == []


def test_hundreds_of_hostile_connections_disturb_nobody(machine: Machine) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    machine.install("Sleeper", "sleep", "1000")
    service = machine.scm["Sleeper"]
    failures: list[BaseException] = []
    enough = threading.Event()

    def work() -> None:
        try:
            while not enough.is_set():
                service.start()
                service.stop()
        except BaseException as failed:
            failures.append(failed)

    worker = threading.Thread(target=work)
    worker.start()
    open_ones = []
    try:
        for _ in range(200):
            client = connect(machine)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(dice.choice(KINDS)(dice))
            if dice.random() < 0.5:
                client.close()
            else:
                open_ones.append(client)
    finally:
        enough.set()
        worker.join()
    assert failures == []
    for client in open_ones:
        client.close()
    machine.disconnect()
    counts = eventually(lambda: one_connection(machine), "the end of the connections")
    assert counts["handles"] == 0
    assert counts["services"] == 1


def one_connection(machine: Machine) -> dict[str, int] | None:
    """The counts, once the one who asks is the only client."""
    counts: dict[str, int] = machine.json("status")["counts"]
    return counts if counts["connections"] == 1 else None


def test_a_client_that_does_not_read_is_waited_for_by_nobody(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    with connect(machine) as silent:
        silent.setblocking(False)
        silent.send(BIND)
        calls = b"".join(request(struct.pack("<I", 0), 15) for _ in range(50))
        # The SCM may read no more, or have enough of it.
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            for _ in range(1000):
                silent.send(calls)
        machine.scmd("net", "start", "Sleeper")
        machine.scmd("net", "stop", "Sleeper")


def test_clients_that_hold_all_descriptors_are_told_of_in_one_line(bare: Machine) -> None:
    bare.expected_complaints = "Too many open files"
    bare.start()
    clock = programs.write(bare.folder, "clock.py", programs.CLOCK)
    bare.run(programs.PYTHON, clock, "install")
    services = bare.scm.services()
    manager = bare.json("status")["manager_pid"]
    _, hard = resource.prlimit(manager, resource.RLIMIT_NOFILE)
    few = len(os.listdir(f"/proc/{manager}/fd")) + 40
    resource.prlimit(manager, resource.RLIMIT_NOFILE, (few, hard))
    with contextlib.ExitStack() as clients:
        for _ in range(50):
            clients.enter_context(connect(bare))
        bare.await_line(r"who connects to .*/scm.sock has to wait: Too many open files")
        assert len(bare.scm.services()) == len(services), "who is there is served"
        bare.scm["Clock"].start(wait=LIMIT_S)
        assert bare.scm["Clock"].status.state == ServiceState.RUNNING
    bare.sc("query")
    assert len([line for line in bare.lines if "Too many open files" in line]) == 1
    assert not any("Traceback" in line for line in bare.lines)


def test_handles_end_with_their_connection(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    calls = machine.scm.calls
    handle = calls.open_service(calls.open_scm(), "Sleeper", 0xF01FF)
    machine.sc("delete", "Sleeper")
    assert calls.query_status(handle).state == 1
    machine.disconnect()
    machine.await_gone("Sleeper")


@pytest.mark.root
def test_the_socket_is_open_to_all_and_its_folder_is_not(machine: Machine) -> None:
    assert os.stat(machine.runtime).st_mode & 0o777 == 0o755
    assert os.stat(machine.runtime / "scm.sock").st_mode & 0o666 == 0o666
