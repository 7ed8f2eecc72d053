"""Security descriptors of SCM and services: rights, components, durability, effect."""

from __future__ import annotations

import pytest

from scmd.core.control_values import SECURITY
from scmd.core.locks import LockDatabase
from scmd.core.messages import HandleId, Settings
from scmd.core.messages.commands import (
    DeleteService,
    OpenScm,
    OpenService,
    QueryConfig,
    QueryStatus,
)
from scmd.core.messages.effects import SaveControl, SaveRecord
from scmd.core.messages.events import RecordSaved, SaveFailed
from scmd.core.object_security import QuerySecurity, SetSecurity
from scmd.security.defaults import SERVICE_DESCRIPTOR
from scmd.security.descriptor import DescriptorControl, SecurityDescriptor
from scmd.security.sddl import descriptor_from_sddl
from scmd.security.sid import ADMINISTRATORS
from scmd.security.token import Token
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import SecurityInformation, StandardAccess
from tests.core.bench import ALL, GUEST, ROOT, Bench

OWNER, GROUP, DACL, SACL, LABEL = SecurityInformation
READ_CONTROL, WRITE_DAC, WRITE_OWNER = 0x20000, 0x40000, 0x80000
SYSTEM_SECURITY = int(StandardAccess.ACCESS_SYSTEM_SECURITY)
EVERYTHING = ALL | SYSTEM_SECURITY
SDDL = "O:BAG:BUD:P(D;;WP;;;IU)(A;;GA;;;BA)S:P(ML;;NW;;;HI)(AU;SA;GA;;;WD)"
GIVEN = descriptor_from_sddl(SDDL)
NOT_ITS_OWNER = Token(user="S-1-22-1-77", groups=frozenset({ADMINISTRATORS}))


def shown(bench: Bench, handle: HandleId, information: int) -> SecurityDescriptor:
    data = bench.result(QuerySecurity(bench.call(), handle, information))
    return SecurityDescriptor.from_bytes(data)


def set_error(bench: Bench, handle: HandleId, information: int, data: bytes | None = None) -> int:
    given = GIVEN.to_bytes() if data is None else data
    return bench.error(SetSecurity(bench.call(), handle, information, given))


@pytest.mark.parametrize("information", [0, 0x20, 0x1F | 0x100, 0x80000004, 0xFFFFFFFF])
def test_undefined_bits_and_none_are_87_before_the_rights(information: int) -> None:
    bench = Bench()
    bench.create("A")
    handle = bench.open("A", 4)
    assert bench.error(QuerySecurity(bench.call(), handle, information)) == 87
    assert set_error(bench, handle, information) == 87


READING = [
    (OWNER, READ_CONTROL),
    (GROUP, READ_CONTROL),
    (DACL, READ_CONTROL),
    (SACL, SYSTEM_SECURITY),
    (LABEL, READ_CONTROL),
]
WRITING = [
    (OWNER, WRITE_OWNER),
    (GROUP, WRITE_OWNER),
    (DACL, WRITE_DAC),
    (SACL, SYSTEM_SECURITY),
    (LABEL, WRITE_OWNER),
]


@pytest.mark.parametrize(("information", "right"), READING)
def test_reading_needs_the_components_right(information: int, right: int) -> None:
    bench = Bench()
    bench.create("A")
    others = EVERYTHING & ~right
    for name in ("A", ""):
        with_it, without = (handle_of(bench, name, mask) for mask in (right, others))
        assert bench.error(QuerySecurity(bench.call(), with_it, information)) == 0
        assert bench.error(QuerySecurity(bench.call(), without, information)) == 5
        assert bench.error(QuerySecurity(bench.call(), without, 0x1F)) == 5


@pytest.mark.parametrize(("information", "right"), WRITING)
def test_writing_needs_the_components_right(information: int, right: int) -> None:
    bench = Bench()
    bench.create("A")
    for name in ("A", ""):
        with_it = handle_of(bench, name, right)
        without = handle_of(bench, name, EVERYTHING & ~right)
        assert set_error(bench, without, information) == 5
        assert not bench.found(SaveRecord)
        assert set_error(bench, with_it, information) == 0


def handle_of(bench: Bench, name: str, access: int) -> HandleId:
    """To the service, or (without a name) to the SCM."""
    if name:
        return bench.open(name, access)
    mask = access & (0xF003F | SYSTEM_SECURITY)
    handle: HandleId = bench.result(OpenScm(bench.call(), None, mask))
    return handle


@pytest.mark.parametrize("name", ["A", ""])
def test_each_component_is_replaced_alone(name: str) -> None:
    for information in SecurityInformation:
        bench = Bench()
        bench.create("A")
        handle = handle_of(bench, name, EVERYTHING)
        before = {bit: shown(bench, handle, bit) for bit in SecurityInformation}
        assert set_error(bench, handle, information) == 0
        for bit in SecurityInformation:
            wanted = shown_alone(GIVEN, bit) if bit == information else before[bit]
            assert shown(bench, handle, bit) == wanted


def shown_alone(descriptor: SecurityDescriptor, bit: SecurityInformation) -> SecurityDescriptor:
    """What the text has for this bit."""
    label, audit = descriptor.sacl or (None, None)
    assert label is not None
    assert audit is not None
    return {
        OWNER: SecurityDescriptor(owner=descriptor.owner),
        GROUP: SecurityDescriptor(group=descriptor.group),
        DACL: SecurityDescriptor(
            dacl=descriptor.dacl, control=int(DescriptorControl.DACL_PROTECTED)
        ),
        SACL: SecurityDescriptor(sacl=(audit,), control=int(DescriptorControl.SACL_PROTECTED)),
        LABEL: SecurityDescriptor(sacl=(label,)),
    }[bit]


def test_the_control_bits_of_a_list_go_with_it_and_no_others() -> None:
    bench = Bench()
    bench.create("A")
    handle = handle_of(bench, "A", EVERYTHING)
    assert set_error(bench, handle, DACL | SACL) == 0
    plain = descriptor_from_sddl("D:(A;;GA;;;BA)S:(AU;SA;GA;;;WD)").to_bytes()
    protected = [int(DescriptorControl.DACL_PROTECTED), int(DescriptorControl.SACL_PROTECTED)]
    bits = [shown(bench, handle, bit).control for bit in (DACL, SACL)]
    assert bits == protected
    assert set_error(bench, handle, DACL, plain) == 0
    assert [shown(bench, handle, bit).control for bit in (DACL, SACL)] == [0, protected[1]]
    assert set_error(bench, handle, DACL) == 0
    assert set_error(bench, handle, SACL, plain) == 0
    assert [shown(bench, handle, bit).control for bit in (DACL, SACL)] == [protected[0], 0]


def test_a_null_sacl_is_none_and_a_sacl_is_no_null_dacl() -> None:
    bench = Bench()
    bench.create("A")
    handle = handle_of(bench, "A", EVERYTHING)
    null = SecurityDescriptor(control=int(DescriptorControl.SACL_PRESENT)).to_bytes()
    assert set_error(bench, handle, DACL, null) == 87
    assert set_error(bench, handle, SACL, null) == 0
    assert shown(bench, handle, SACL) == SecurityDescriptor()


def test_a_sacl_that_has_a_label_alone_is_empty_and_not_absent() -> None:
    bench = Bench()
    bench.create("A")
    handle = handle_of(bench, "A", EVERYTHING)
    assert set_error(bench, handle, LABEL) == 0
    assert set_error(bench, handle, SACL, SecurityDescriptor().to_bytes()) == 0
    assert shown(bench, handle, SACL).sacl == ()
    assert shown(bench, handle, LABEL) == shown_alone(GIVEN, LABEL)


def test_components_that_are_too_long_together_are_87() -> None:
    """Labels and audits are set apart, and stored in one ACL of at most 65,535 bytes."""
    bench = Bench()
    bench.create("A")
    handle = bench.open("A", EVERYTHING)
    full = descriptor_from_sddl("S:" + "(AU;SA;GA;;;WD)" * 3276).to_bytes()
    assert set_error(bench, handle, SACL, full) == 0
    assert set_error(bench, handle, LABEL) == 87
    assert not bench.found(SaveRecord)
    assert shown(bench, handle, SACL) == SecurityDescriptor.from_bytes(full)


def test_the_default_is_shown_until_something_is_set() -> None:
    bench = Bench()
    bench.create("A")
    found = shown(bench, handle_of(bench, "A", EVERYTHING), int(DACL | SACL))
    assert (found.dacl, found.sacl) == (SERVICE_DESCRIPTOR.dacl, SERVICE_DESCRIPTOR.sacl)


def test_what_is_asked_for_must_be_there_and_be_a_descriptor() -> None:
    bench = Bench()
    bench.create("A")
    handle = handle_of(bench, "A", EVERYTHING)
    nothing = SecurityDescriptor().to_bytes()
    for information in (OWNER, GROUP, DACL, OWNER | DACL):
        assert set_error(bench, handle, information, nothing) == 87
    for data in (b"", b"nonsense", nothing[:-1]):
        assert set_error(bench, handle, DACL, data) == 87
    assert set_error(bench, handle, SACL, nothing) == 0, "a SACL goes by being left out"
    assert shown(bench, handle, SACL).sacl is None
    null = SecurityDescriptor(control=int(DescriptorControl.DACL_PRESENT)).to_bytes()
    assert set_error(bench, handle, DACL, null) == 0, "a NULL DACL is one: everybody may"
    scm = bench.result(OpenScm(bench.call(GUEST), None, 1))
    assert bench.error(OpenService(bench.call(GUEST), scm, "A", ALL)) == 0


def test_nobody_gives_to_others_without_the_privilege_to_restore() -> None:
    poor = Token(user=ROOT.user, groups=ROOT.groups, privileges=frozenset())
    bench = Bench()
    bench.create("A")
    handle = bench.open("A")
    foreign = SecurityDescriptor(owner="S-1-22-1-77").to_bytes()
    own = SecurityDescriptor(owner=ROOT.user).to_bytes()
    assert bench.error(SetSecurity(bench.call(poor), handle, OWNER, foreign)) == 87
    assert bench.error(SetSecurity(bench.call(poor), handle, OWNER, own)) == 0
    assert bench.error(SetSecurity(bench.call(), handle, OWNER, foreign)) == 0


def test_open_handles_keep_what_they_were_granted_and_new_ones_are_checked_anew() -> None:
    bench = Bench()
    bench.create("A")
    scm = bench.result(OpenScm(bench.call(GUEST), None, 0x80000000))
    guest = bench.result(OpenService(bench.call(GUEST), scm, "A", 4))
    closed = descriptor_from_sddl("D:(A;;GA;;;BA)").to_bytes()
    assert set_error(bench, bench.open("A"), DACL, closed) == 0
    assert bench.error(QueryStatus(bench.call(GUEST), guest)) == 0
    assert bench.error(OpenService(bench.call(GUEST), scm, "A", 4)) == 5
    assert set_error(bench, bench.handle, DACL, closed) == 0
    assert bench.error(OpenScm(bench.call(GUEST), None, 1)) == 5
    assert bench.error(OpenScm(bench.call(), None, 0xF003F)) == 0


def test_nothing_counts_before_it_is_durable_and_a_failure_leaves_no_trace() -> None:
    bench = Bench()
    bench.create("A")
    bench.saving = False
    for handle in (bench.open("A"), bench.handle):
        before = shown(bench, handle, DACL)
        command = SetSecurity(bench.call(), handle, int(DACL), GIVEN.to_bytes())
        bench.tell(command)
        assert not bench.answered(command)
        assert shown(bench, handle, DACL) == before
        second = SetSecurity(bench.call(), handle, int(GROUP | OWNER), GIVEN.to_bytes())
        bench.tell(second)
        assert not bench.answered(second), "it waits for the first"
        [save] = bench.pending_saves
        bench.pending_saves.clear()
        bench.tell(SaveFailed(save.save, Error.DISK_FULL))
        assert bench.replies[command.call.id].error == 112
        assert shown(bench, handle, DACL) == before
        [save] = bench.pending_saves
        bench.pending_saves.clear()
        bench.tell(RecordSaved(save.save))
        assert bench.replies[second.call.id].error == 0
        assert shown(bench, handle, DACL) == before
        assert shown(bench, handle, OWNER).owner == GIVEN.owner


def test_the_scms_descriptor_is_an_scm_wide_value_that_counts_at_the_next_start() -> None:
    bench = Bench()
    assert set_error(bench, bench.handle, DACL) == 0
    value = bench.one(SaveControl).values[SECURITY]
    assert value is not None
    assert isinstance(value.data, bytes)
    again = Bench(settings=Settings(security=value.data))
    assert shown(again, again.handle, DACL).dacl == GIVEN.dacl
    broken = Bench(settings=Settings(security=b"nonsense"))
    assert shown(broken, broken.handle, DACL).dacl is not None


def test_a_marked_service_is_1072_and_still_shown() -> None:
    bench = Bench()
    handle = bench.create("A")
    bench.result(DeleteService(bench.call(), handle))
    assert set_error(bench, handle, DACL) == 1072
    assert bench.error(QuerySecurity(bench.call(), handle, int(DACL))) == 0


def test_a_lock_has_no_descriptor() -> None:
    bench = Bench()
    lock = bench.result(LockDatabase(bench.call(), bench.handle))
    assert bench.error(QuerySecurity(bench.call(), lock, int(DACL))) == 6
    assert set_error(bench, lock, DACL) == 6


def test_the_configuration_is_kept() -> None:
    bench = Bench()
    handle = bench.create("A", dependencies=("B",))
    before = bench.result(QueryConfig(bench.call(), handle))
    assert set_error(bench, handle, DACL) == 0
    after = bench.result(QueryConfig(bench.call(), handle))
    assert after.replace(security=None) == before


@pytest.mark.parametrize("name", ["A", ""])
def test_who_owns_it_can_undo_a_dacl_that_shuts_everybody_out(name: str) -> None:
    bench = Bench()
    bench.create("A")
    nobody = descriptor_from_sddl("D:").to_bytes()
    assert set_error(bench, handle_of(bench, name, WRITE_DAC), DACL, nobody) == 0
    for token, mask in (
        (ROOT, 0x4),
        (ROOT, 0xF003F),
        (GUEST, WRITE_DAC),
        (NOT_ITS_OWNER, WRITE_DAC),
    ):
        call = bench.call(token)
        opening = OpenService(call, bench.handle, name, mask) if name else OpenScm(call, None, mask)
        assert bench.error(opening) == Error.ACCESS_DENIED
    # CONNECT, which goes with every handle to the SCM, may be asked for besides.
    again = handle_of(bench, name, WRITE_DAC | READ_CONTROL | (0 if name else 0x1))
    assert shown(bench, again, DACL).dacl == ()
    assert set_error(bench, again, DACL) == 0
    assert handle_of(bench, name, 0x4)
