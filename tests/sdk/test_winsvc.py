"""`scmd.winsvc` and the façade: names, numbers, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest

import scmd
from scmd import winsvc
from scmd.vocabulary import service
from scmd.vocabulary.errors import Error
from scmd.vocabulary.stop_reasons import is_stop_reason

PREFIXES = [
    (service.ServiceType, "SERVICE_"),
    (service.StartType, "SERVICE_"),
    (service.ErrorControl, "SERVICE_ERROR_"),
    (service.ServiceState, "SERVICE_"),
    (service.Control, "SERVICE_CONTROL_"),
    (service.ControlsAccepted, "SERVICE_ACCEPT_"),
    (service.StandardAccess, ""),
    (service.ScmAccess, "SC_MANAGER_"),
    (service.ConfigLevel, "SERVICE_CONFIG_"),
    (service.ActionType, "SC_ACTION_"),
    (service.SidType, "SERVICE_SID_TYPE_"),
    (service.NotifyMask, "SERVICE_NOTIFY_"),
]


def test_every_constant_has_its_win32_name() -> None:
    for enumeration, prefix in PREFIXES:
        for name, member in enumeration.__members__.items():
            assert getattr(winsvc, prefix + name) == member.value
    assert winsvc.SERVICE_STATE_ALL == service.StateMask.ALL
    assert winsvc.SERVICE_ALL_ACCESS == service.ServiceAccess.ALL_ACCESS
    assert winsvc.SERVICE_SET_STATUS == service.ServiceAccess.SET_STATUS


def test_errors_have_their_win32_names() -> None:
    names = [name for name in vars(winsvc) if name.startswith("ERROR_")]
    assert len(names) > 60
    for name in names:
        assert Error[name.removeprefix("ERROR_")] == getattr(winsvc, name)


def test_constants_are_plain_numbers() -> None:
    assert type(winsvc.SERVICE_RUNNING) is int


def test_the_reasons_of_a_stop_go_together() -> None:
    def codes(part: str) -> list[int]:
        prefix = f"SERVICE_STOP_REASON_{part}_"
        return [value for name, value in vars(winsvc).items() if name.startswith(prefix)]

    reasons = [sum(parts) for parts in product(codes("FLAG"), codes("MAJOR"), codes("MINOR"))]
    assert len(set(reasons)) == 3 * 8 * 25
    # CUSTOM with custom codes; the two other flags with the system's.
    assert sum(map(is_stop_reason, reasons)) == 2 * 2 + 2 * 6 * 23


def test_the_exception_carries_code_function_and_text() -> None:
    with pytest.raises(winsvc.error) as caught:
        winsvc.SetServiceStatus(99, (0x10, 4, 0, 0, 0, 0, 0))
    assert caught.value.args == (6, "SetServiceStatus", "The handle is invalid.")
    assert caught.value.winerror == winsvc.ERROR_INVALID_HANDLE
    assert str(caught.value) == "SetServiceStatus: The handle is invalid. (6)"


@pytest.mark.parametrize("status", [(), (1, 2), (0x10, "4", 0, 0, 0, 0, 0), None, 4])
def test_a_status_is_seven_numbers(status: tuple[int, ...]) -> None:
    with pytest.raises(winsvc.error) as caught:
        winsvc.SetServiceStatus(1, status)
    assert caught.value.winerror == winsvc.ERROR_INVALID_DATA


def test_registering_outside_a_service_is_error_1083() -> None:
    with pytest.raises(winsvc.error) as caught:
        winsvc.RegisterServiceCtrlHandler("X", lambda control: None)
    assert caught.value.winerror == winsvc.ERROR_SERVICE_NOT_IN_EXE


def test_the_half_for_control_programs_is_the_clients() -> None:
    from scmd.client import functions

    for name in winsvc._CLIENT:
        assert getattr(winsvc, name) is getattr(functions, name)


def test_unknown_names_are_attribute_errors() -> None:
    for module in (scmd, winsvc):
        with pytest.raises(AttributeError, match="NoSuchName"):
            _ = module.NoSuchName


def imported_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    output = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=20)
    return set(output.split())


def test_the_facade_imports_nothing() -> None:
    assert {name for name in imported_by("import scmd") if name != "__future__"} == {"scmd"}


def test_the_service_half_imports_no_client_and_nothing_heavy() -> None:
    modules = imported_by("import scmd.winsvc")
    assert not modules & {"typing", "dataclasses", "logging", "inspect", "re", "socket", "asyncio"}
    assert not {name for name in modules if name.startswith(("scmd.client", "scmd.transport"))}


def test_the_facade_names_what_it_has() -> None:
    assert {"service", "Service", "run", "ServiceExit", "connect", "on"} <= set(dir(scmd))
    assert scmd.ServiceExit(3).specific_code == 3
    assert {"OpenSCManager", "SERVICE_RUNNING"} <= set(dir(winsvc))


def test_a_star_gets_every_function() -> None:
    names: dict[str, object] = {}
    exec("from scmd.winsvc import *", names)
    assert {"OpenSCManager", "SleepEx", "SetServiceStatus", "error", "WinError"} <= names.keys()
    assert names["OpenSCManager"] is winsvc.OpenSCManager
    assert "TYPE_CHECKING" not in names
