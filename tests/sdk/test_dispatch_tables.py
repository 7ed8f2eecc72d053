"""The table that a program hands to the dispatcher: what is one, and what its names mean."""

from __future__ import annotations

import pytest

from scmd.control_pipe.packets import Start, StartAnswer
from scmd.sdk.backend import ServiceMain
from scmd.sdk.dispatcher import checked_table
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState, ServiceType
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import WinError
from tests.sdk.fake_scm import InProcess

STOPPED = ServiceStatus(state=ServiceState.STOPPED)
OWN, SHARE = ServiceType.WIN32_OWN_PROCESS, ServiceType.WIN32_SHARE_PROCESS


@pytest.mark.parametrize(
    ("kind", "table", "name", "runs"),
    [
        (OWN, ("A",), "A", "A"),
        (OWN, ("A",), "B", "A"),
        (OWN, ("",), "B", ""),
        (OWN, ("A", "B"), "A", "A"),
        (OWN, ("A", "B"), "B", "A"),
        (OWN, ("A", "B"), "C", "A"),
        (OWN, ("B", "A"), "A", "B"),
        (SHARE, ("A",), "a", "A"),
        (SHARE, ("A",), "B", None),
        (SHARE, ("",), "B", None),
        (SHARE, ("A", "B"), "b", "B"),
        (SHARE, ("A", "B"), "C", None),
        # An older SCM says nothing: a table of one is a process of its own.
        (None, ("A",), "B", "A"),
        (None, ("A", "B"), "B", "B"),
        (None, ("A", "B"), "C", None),
    ],
)
def test_what_the_names_of_the_table_mean(
    kind: ServiceType | None, table: tuple[str, ...], name: str, runs: str | None
) -> None:
    """SERVICE_TABLE_ENTRY: ignored in a process of one's own, looked for in a shared one."""
    scm = InProcess(kind)
    ran: list[str] = []

    def entry(its_name: str) -> tuple[str, ServiceMain]:
        def main(arguments: list[str]) -> None:
            ran.append(its_name)
            # In a process of its own the name is not looked at here either.
            register_as = arguments[0] if kind is SHARE else its_name
            handle = scm.dispatcher.register(register_as, lambda control, kind, data: 0)
            scm.dispatcher.set_status(handle, STOPPED)

        return its_name, main

    try:
        scm.dispatch(*map(entry, table))
        assert scm.welcome().table == table
        scm.send(Start(service=1, arguments=(name,)))
        error = scm.expect(StartAnswer).error
        if runs is None:
            assert error == Error.SERVICE_NOT_IN_EXE
        else:
            assert error == 0
            scm.expect_state(ServiceState.STOPPED)
            assert ran == [runs]
    finally:
        scm.close()


def test_a_shared_process_registers_only_names_that_run() -> None:
    refused: list[int] = []

    def main(arguments: list[str]) -> None:
        try:
            shared.dispatcher.register("Other", lambda control, kind, data: 0)
        except WinError as error:
            refused.append(error.winerror)

    shared = InProcess(SHARE)
    try:
        shared.dispatch(("A", main))
        shared.welcome()
        shared.send(Start(service=1, arguments=("A",)))
        report = shared.expect_state(ServiceState.STOPPED).status
        assert (report.type, report.win32_exit_code) == (SHARE, Error.PROCESS_ABORTED)
        assert refused == [Error.SERVICE_NOT_IN_EXE]
    finally:
        shared.close()


def nothing(arguments: list[str]) -> None:
    return None


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ([], Error.INVALID_PARAMETER),
        ([(None, None)], Error.INVALID_PARAMETER),
        ([("A", None)], Error.INVALID_DATA),
        (None, Error.INVALID_DATA),
        ([("A",)], Error.INVALID_DATA),
        ([None], Error.INVALID_DATA),
        ([(None, nothing)], Error.INVALID_DATA),
        ([("A", nothing), ("a", nothing)], Error.INVALID_DATA),
    ],
)
def test_bad_tables_are_refused(
    table: list[tuple[str | None, ServiceMain | None]], error: Error
) -> None:
    with pytest.raises(WinError) as caught:
        checked_table(table)
    assert caught.value.winerror == error


def test_a_final_null_entry_is_allowed() -> None:
    assert checked_table([("A", nothing), (None, None)])[0] == ("A",)
