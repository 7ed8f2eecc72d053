"""Services that hang, lie, exit early or talk nonsense: what they get; no other notices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState
from tests.system import programs
from tests.system.kept import remove_services, scratch_folder
from tests.system.machine import Machine, eventually, finished, is_gone
from tests.system.programs import PYTHON


@pytest.fixture(scope="module")
def tolerant() -> Iterator[Machine]:
    """An SCM that says when a service talks nonsense, which is no complaint here."""
    with scratch_folder() as folder, finished(Machine(folder)) as machine:
        machine.start()
        machine.expected_complaints = "malformed|nonsense"
        clock = programs.write(folder, "clock.py", programs.CLOCK)
        machine.run(PYTHON, clock, "install").check_returncode()
        yield machine


@pytest.fixture
def witness(tolerant: Machine) -> Iterator[Machine]:
    """It has a service that must not notice anything, whatever others have done before."""
    tolerant.forget_past()
    tolerant.scmd("net", "start", "Clock")
    services = [service.name for service in tolerant.scm.services()]
    yield tolerant
    remove_services(tolerant, *services)
    if tolerant.status("Clock").state != ServiceState.STOPPED:
        tolerant.scm["Clock"].stop()


@contextmanager
def impatience(machine: Machine) -> Iterator[None]:
    """Who has to answer meanwhile is not waited for long; the witness has all of its time."""
    machine.scmd("settings", "ServicesPipeTimeout", "500")
    yield
    machine.scmd("settings", "ServicesPipeTimeout", "--default")


def create(machine: Machine, kind: str) -> None:
    liar = programs.write(machine.folder, "liar.py", programs.LIAR)
    machine.create("Liar", PYTHON, "-I", "-S", liar, kind)


def check_witness(machine: Machine) -> None:
    machine.sc("interrogate", "Clock")
    machine.scmd("net", "pause", "Clock")
    machine.scmd("net", "stop", "Clock")
    assert machine.status("Clock").win32_exit_code == 0


def test_one_that_never_connects_is_1053_and_killed(witness: Machine) -> None:
    create(witness, "never_connects")
    with impatience(witness):
        assert witness.refused("start", "Liar") == Error.SERVICE_REQUEST_TIMEOUT
    assert witness.status("Liar").win32_exit_code == Error.SERVICE_REQUEST_TIMEOUT
    witness.await_event(7009)
    witness.await_event(7000, "Liar")
    eventually(lambda: len(witness.left_over()) == 4, "the end of the program")
    check_witness(witness)


@pytest.mark.parametrize("kind", ["exits_early", "sends_nonsense"])
def test_one_that_fails_before_it_is_ready_is_1053_at_once(witness: Machine, kind: str) -> None:
    create(witness, kind)
    assert witness.refused("start", "Liar") == Error.SERVICE_REQUEST_TIMEOUT
    assert witness.status("Liar").state == 1
    check_witness(witness)


def test_one_that_never_answers_a_start_is_1053(witness: Machine) -> None:
    create(witness, "never_answers_start")
    with impatience(witness):
        assert witness.refused("start", "Liar") == Error.SERVICE_REQUEST_TIMEOUT
    check_witness(witness)


def test_one_that_never_reports_stays_start_pending(witness: Machine) -> None:
    create(witness, "never_reports")
    witness.sc("start", "Liar")
    status = witness.status("Liar")
    assert (status.state, status.controls_accepted, status.wait_hint) == (2, 0, 2000)
    assert witness.refused("stop", "Liar") in (
        Error.SERVICE_CANNOT_ACCEPT_CTRL,
        Error.INVALID_SERVICE_CONTROL,
    )
    check_witness(witness)
    os.kill(status.process_id, 9)
    witness.await_state("Liar", "STOPPED")


def test_one_that_never_answers_a_control_is_1053_and_goes_on(witness: Machine) -> None:
    create(witness, "never_answers_controls")
    witness.sc("start", "Liar")
    witness.await_state("Liar", "RUNNING")
    with impatience(witness):
        assert witness.refused("stop", "Liar") == Error.SERVICE_REQUEST_TIMEOUT
    status = witness.status("Liar")
    assert status.state == 4
    witness.await_event(7011, "Liar")
    check_witness(witness)
    os.kill(status.process_id, 9)
    witness.await_state("Liar", "STOPPED")


def test_illegal_reports_are_ignored(witness: Machine) -> None:
    create(witness, "reports_nonsense")
    witness.sc("start", "Liar")
    witness.await_log("Liar", "reported")
    status = witness.await_state("Liar", "RUNNING")
    assert (status.type, status.controls_accepted) == (0x10, 1)
    witness.scmd("net", "stop", "Liar")
    check_witness(witness)


def test_lies_about_other_services_are_not_believed(witness: Machine) -> None:
    create(witness, "lies_about_others")
    before = witness.status("Clock")
    witness.sc("start", "Liar")
    witness.await_log("Liar", "lied")
    witness.scmd("net", "stop", "Liar")
    assert witness.status("Clock") == before
    assert not [event for event in witness.json("events") if "a lie" in event["strings"]]
    check_witness(witness)


@pytest.mark.parametrize(
    "kind", ["sends_nonsense_later", "sends_long_packets", "never_ends_a_message"]
)
def test_a_malformed_packet_closes_that_channel_only(witness: Machine, kind: str) -> None:
    create(witness, kind)
    witness.sc("start", "Liar")
    witness.await_line("control channel closed")
    process_id = witness.status("Liar").process_id
    check_witness(witness)
    if witness.status("Liar").state != 1:
        os.kill(process_id, 9)
    witness.await_state("Liar", "STOPPED")


def test_one_that_closes_its_socket_can_still_end(witness: Machine) -> None:
    create(witness, "closes_its_socket")
    witness.sc("start", "Liar")
    check_witness(witness)
    status = witness.status("Liar")
    if status.state != 1:
        witness.sc("stop", "Liar", status=1)
        os.kill(status.process_id, 9)
    witness.await_state("Liar", "STOPPED")


def test_a_flood_of_reports_delays_nobody_for_long(witness: Machine) -> None:
    create(witness, "floods")
    witness.sc("start", "Liar")
    check_witness(witness)
    witness.await_state("Liar", "RUNNING")
    witness.scmd("net", "stop", "Liar")


def test_what_follows_stopped_is_ignored_and_the_process_ends(witness: Machine) -> None:
    create(witness, "lingers")
    witness.sc("start", "Liar")
    process_id = witness.await_state("Liar", "RUNNING").process_id
    with impatience(witness):
        witness.try_scmd("sc", "stop", "Liar")
        witness.await_state("Liar", "STOPPED")
        eventually(lambda: is_gone(process_id), "the end of the process")
    assert witness.status("Liar").win32_exit_code == 0
    witness.sc("start", "Liar")
    witness.await_state("Liar", "RUNNING")
    check_witness(witness)
    os.kill(witness.status("Liar").process_id, 9)
    witness.await_state("Liar", "STOPPED")


def test_a_refused_control_is_told_to_the_one_who_sent_it(witness: Machine) -> None:
    create(witness, "denies_controls")
    witness.sc("start", "Liar")
    witness.await_state("Liar", "RUNNING")
    assert witness.refused("interrogate", "Liar") == 1234
    witness.scmd("net", "stop", "Liar")
