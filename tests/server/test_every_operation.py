"""Every operation over the real core, in every form of the wire: handles, rights, buffers, ranges.

What an operation does is tested elsewhere; here stands what holds for all of them, read from the
table in `operation_cases`. Notifications come with their own tests.
"""

from __future__ import annotations

from typing import Any, Literal

import pytest

from scmd.core.locks import LockDatabase
from scmd.core.messages import (
    CONTEXT_MISMATCH,
    AssociationId,
    Call,
    Caller,
    CallId,
    HandleId,
    Settings,
)
from scmd.core.messages.commands import CloseHandle, Command, CreateService, OpenScm, OpenService
from scmd.core.messages.effects import RemoveRecord, Reply, SaveControl, SaveRecord
from scmd.core.messages.events import RecordSaved
from scmd.core.scm import Scm
from scmd.ndr.errors import INVALID_TAG, NdrError
from scmd.ndr.structure import ANSI, BIG_ENDIAN, NDR, NDR64, Structure
from scmd.server.handles import ForeignHandle
from scmd.server.resume import ResumeIndexes
from scmd.server.steps import Fault, Work
from scmd.server.svcctl_server import SVCCTL_OPERATIONS
from scmd.svcctl import administration, configuration, opening
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.value import Value
from tests.core.bench import ROOT
from tests.server.exchange import FOREIGN, HANDLES
from tests.server.operation_cases import CASES, DACL, MARK

FORMS = (NDR, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN)
BAD_STUB = 0x6F7
EVERYTHING = 0x010F81FF
"""Every right on a service, SET_STATUS and ACCESS_SYSTEM_SECURITY among them."""
EVERYTHING_SCM = 0x010F003F
WITHOUT_HANDLE = {9, 15, 27, 64}
NOTIFICATIONS = {47, 48, 49}


class World:
    """A core with services A, which has a dependent, a group and a description, and B."""

    def __init__(self, form: int) -> None:
        self.form = form
        self.scm = Scm((), Settings())
        self.call = Call(CallId(1), AssociationId(3), Caller(ROOT, "root", "a test"))
        self.resume = ResumeIndexes()
        manager = self.open_scm(EVERYTHING_SCM)
        a = ServiceConfig(
            name="A",
            image_path="/bin/a",
            start_type=4,
            description="What it is.",
        )
        b = ServiceConfig(name="B", image_path="/bin/b", dependencies=("A",), load_order_group="G")
        for config in (a, b):
            self.ask(CreateService(self.call, manager, config, 0))

    def ask(self, command: Command) -> Reply:
        """The reply, which comes once the disk has obeyed."""
        waiting: list[Any] = [command]
        reply = None
        while waiting:
            for effect in self.scm.handle(waiting.pop(0), 0):
                if isinstance(effect, Reply):
                    assert reply is None, "answered twice"
                    reply = effect
                elif isinstance(effect, SaveRecord | RemoveRecord | SaveControl):
                    waiting.append(RecordSaved(effect.save))
        assert reply is not None, f"{command} is not answered"
        return reply

    def open_scm(self, access: int) -> HandleId:
        result = self.ask(OpenScm(self.call, None, access)).result
        assert isinstance(result, int)
        return HandleId(result)

    def handle(self, kind: str, access: int = EVERYTHING) -> HandleId:
        """One of this kind with these rights; any: to the service."""
        manager = self.open_scm(EVERYTHING_SCM)
        if kind == "scm":
            return self.open_scm(access & EVERYTHING_SCM)
        if kind == "lock":
            result = self.ask(LockDatabase(self.call, manager)).result
        elif access & 0x8000:
            # Only who creates a service is given SET_STATUS.
            config = ServiceConfig(name="Mine", image_path="/bin/mine", start_type=4)
            created = self.ask(CreateService(self.call, manager, config, access)).result
            assert isinstance(created, tuple)
            result = created[0]
        else:
            result = self.ask(OpenService(self.call, manager, "A", access)).result
        assert isinstance(result, int)
        return HandleId(result)

    def run(self, opnum: int, request: Structure) -> Any:
        """The response as the client decodes it; a fault is raised."""
        operation = SVCCTL_OPERATIONS[opnum].operation
        return self.serve(opnum, operation.encode_request(request, self.form))

    def serve(self, opnum: int, stub: bytes) -> Any:
        entry = SVCCTL_OPERATIONS[opnum]
        work = Work(self.call, HANDLES, self.resume, entry.charset)
        steps = entry.perform(work, entry.operation.decode_request(stub, self.form))
        try:
            asked = next(steps)
            while True:
                assert isinstance(asked, Command)
                reply = self.ask(asked)
                if reply.error == CONTEXT_MISMATCH:
                    raise Fault(CONTEXT_MISMATCH)
                asked = steps.send(reply)
        except StopIteration as stop:
            answer = entry.operation.encode_response(stop.value, self.form)
            return entry.operation.decode_response(answer, self.form)


def wire(handle: HandleId) -> Any:
    return HANDLES.to_wire(handle)


@pytest.fixture(params=FORMS, ids=["NDR", "NDR big", "NDR64", "NDR64 big"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


every = pytest.mark.parametrize("opnum", sorted(CASES))
with_buffer = pytest.mark.parametrize("opnum", [n for n, case in CASES.items() if case.short])


def test_the_table_has_every_operation() -> None:
    assert set(CASES) | WITHOUT_HANDLE | NOTIFICATIONS >= set(SVCCTL_OPERATIONS)
    assert set(CASES) | WITHOUT_HANDLE <= set(SVCCTL_OPERATIONS)
    for reserved in (10, 22, 34, 43, 46, *range(52, 56), *range(57, 60), *range(61, 64)):
        assert reserved not in SVCCTL_OPERATIONS


@every
def test_the_right_alone_is_enough(world: World, opnum: int) -> None:
    case = CASES[opnum]
    response = world.run(opnum, case.request(wire(world.handle(case.kind, case.right))))
    assert response.error == case.result


@every
def test_every_other_right_does_not_help(world: World, opnum: int) -> None:
    case = CASES[opnum]
    if not case.right:
        return
    handle = world.handle(case.kind, EVERYTHING & ~(case.right | 0x8000))
    response = world.run(opnum, case.request(wire(handle)))
    assert response.error == case.denied
    assert tells_nothing(response)


def tells_nothing(value: object) -> bool:
    """Whether all that goes out beside the error is zeros, but what the request says itself."""
    if isinstance(value, Value):
        fields = value.as_dict()
        own = fields.keys() - {"error", "level", "capacity"}
        return all(tells_nothing(fields[name]) for name in own)
    return not any(value) if isinstance(value, bytes) else not value


@every
def test_a_handle_of_another_kind(world: World, opnum: int) -> None:
    case = CASES[opnum]
    others = {"any": ["lock"], "scm": ["service", "lock"], "service": ["scm", "lock"]}
    for kind in others.get(case.kind, ["scm", "service"]):
        handle = wire(world.handle(kind, EVERYTHING & ~0x8000))
        response = world.run(opnum, case.request(handle))
        assert response.error == case.wrong
        # A lock's handle goes in and out: what is not unlocked comes back as it was.
        assert response.handle == handle if opnum == 8 else tells_nothing(response)


@every
def test_a_handle_that_is_closed_or_nobodys(world: World, opnum: int) -> None:
    case = CASES[opnum]
    manager = world.open_scm(1)
    world.ask(CloseHandle(world.call, manager))
    with pytest.raises(Fault) as fault:
        world.run(opnum, case.request(wire(manager)))
    assert fault.value.status == CONTEXT_MISMATCH
    with pytest.raises(ForeignHandle):
        world.run(opnum, case.request(FOREIGN))


@with_buffer
def test_buffers(world: World, opnum: int) -> None:
    """Nothing, a byte too little, just enough; the buffer is always as long as was said."""
    case = CASES[opnum]
    request = case.request(wire(world.handle(case.kind, case.right)))
    nothing = world.run(opnum, request.replace(buffer_size=0))
    needed = nothing.bytes_needed
    assert (nothing.error, needed > 0) == (case.short, True)
    short = world.run(opnum, request.replace(buffer_size=needed - 1))
    assert short.error == case.short
    if case.short == 122:
        assert short.bytes_needed == needed
    enough = world.run(opnum, request.replace(buffer_size=needed))
    assert (enough.error, enough.bytes_needed) == (0, needed)
    for response, size in ((nothing, 0), (short, needed - 1), (enough, needed)):
        for field in ("buffer", "security_descriptor"):
            assert len(getattr(response, field, bytes(size))) == size


@with_buffer
def test_a_buffer_past_its_range_is_a_fault(world: World, opnum: int) -> None:
    case = CASES[opnum]
    operation = SVCCTL_OPERATIONS[opnum].operation
    request = case.request(wire(world.handle(case.kind, case.right)))
    order: Literal["big", "little"] = "big" if world.form & BIG_ENDIAN else "little"
    mark = request.buffer_size.to_bytes(4, order)  # type: ignore[attr-defined] # by field
    stub = operation.encode_request(request, world.form)
    assert stub.count(mark) == 1
    limit = {122: 8192, 234: 262_144}[case.short]
    limit = {4: 262_144, 18: 4096, 30: 4096}.get(opnum, limit)
    for size, fits in ((limit, True), (limit + 1, False), (0xFFFF_FFFF, False)):
        changed = stub.replace(mark, size.to_bytes(4, order))
        if fits:
            assert world.serve(opnum, changed).error == 0
            continue
        with pytest.raises(NdrError) as fault:
            world.serve(opnum, changed)
        assert fault.value.status == BAD_STUB


@pytest.mark.parametrize("opnum", [38, 39, 40, 41, 42])
def test_an_unknown_level_is_124_after_handle_and_right(world: World, opnum: int) -> None:
    case = CASES[opnum]
    unknown = case.request(wire(world.handle(case.kind, case.right))).replace(level=99)
    response = world.run(opnum, unknown)
    assert (response.error, response.buffer) == (124, bytes(MARK))
    denied = unknown.as_dict()
    field = "scm" if case.kind == "scm" else "service"
    denied[field] = wire(world.handle(case.kind, EVERYTHING & ~(case.right | 0x8000)))
    assert world.run(opnum, type(unknown)(**denied)).error == 5


NOTHING_SET = {
    **{number: bytes(4) for number in (1, 3, 4, 5, 6, 10, 11, 12)},
    2: bytes(20),
    7: (10_000).to_bytes(4, "little"),
    9: b"\0\0\1\0",  # No preferred node: fDelete is set.
}
"""What QueryServiceConfig2 has of a service that nothing was set for: exactly these bytes."""


@pytest.mark.parametrize("opnum", [38, 39])
def test_the_levels_there_are_and_what_each_says_of_nothing(world: World, opnum: int) -> None:
    """[MS-SCMR] 2.2.27 and 3.1.4.37; 10 to 12 are newer Windows', 8 is operation 56's."""
    opened = world.ask(OpenService(world.call, world.open_scm(1), "B", 1)).result
    assert isinstance(opened, int)
    for number in (*range(20), 0xFFFF_FFFF):
        request = configuration.QueryServiceConfig2Request(
            service=wire(HandleId(opened)), level=number, buffer_size=8192
        )
        response = world.run(opnum, request)
        if number in NOTHING_SET:
            expected = NOTHING_SET[number]
            assert (response.error, response.bytes_needed) == (0, len(expected))
            assert response.buffer == expected.ljust(8192, b"\0")
        else:
            assert (response.error, response.bytes_needed) == (124, 0)


def test_triggers_of_another_level_are_a_fault(world: World) -> None:
    handle = wire(world.handle("service", 1))
    for number in (*range(8), *range(9, 16)):
        request = configuration.QueryServiceConfigExRequest(service=handle, level=number)
        with pytest.raises(Fault) as fault:
            world.run(56, request)
        assert fault.value.status == INVALID_TAG


def test_a_boot_is_accepted_by_whatever_is_not_0(world: World) -> None:
    kind = administration.NotifyBootConfigStatusRequest
    for acceptable, result in ((0, 0), (2, 0), (1, 1076), (0, 1076)):
        assert world.run(9, kind(boot_acceptable=acceptable)).error == result


@pytest.mark.parametrize("size", [262_145, 4_000_000])
def test_a_descriptor_of_any_length_is_looked_at(world: World, size: int) -> None:
    """cbBufSize of operation 5 has no range; what is behind the descriptor is not, either."""
    request = administration.SetServiceObjectSecurityRequest(
        handle=wire(world.handle("service", 0x40000)),
        security_information=4,
        security_descriptor=DACL.ljust(size, b"\0"),
    )
    assert world.run(5, request).error == 87


@pytest.mark.parametrize("opnum", [15, 27, 64])
def test_opening_the_scm(world: World, opnum: int) -> None:
    kind = opening.OpenScManager2Request if opnum == 64 else opening.OpenScManagerRequest
    for database, result in (
        (None, 0),
        ("servicesACTIVE", 0),
        ("ServicesFailed", 1065),
        ("", 123),
        ("x", 123),
    ):
        response = world.run(opnum, kind(database=database, desired_access=1))
        assert response.error == result
        assert any(response.handle) is (result == 0)


def test_ansi_twins_are_ansi() -> None:
    ansi = {23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 36, 38, 41, 44, 50}
    found = {n for n, entry in SVCCTL_OPERATIONS.items() if entry.charset == ANSI}
    assert found == ansi
