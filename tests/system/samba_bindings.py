"""python3-samba's svcctl bindings, every call that speaks as [MS-SCMR] does; for Debian's Python.

`samba_bindings.py BINDING [DIRECTORY [USER PASSWORD]]` prints a JSON object, call to result; an
error is its number. DIRECTORY is where ncalrpc end points are.
Not called: GetServiceDisplayName and GetServiceKeyName, whose declaration wraps name and length
in pointers that [MS-SCMR] does not have; ANSI calls with strings, which it sends as UTF-16;
ChangeServiceConfig2, whose union it declares as a level and bytes, and QueryServiceConfig2A,
whose answer it declares without a count; ChangeServiceConfig, whose binding wants its dependencies
to be a list and a string at once.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import samba.param  # type: ignore[import-not-found] # Debian's Python has it
from samba import NTSTATUSError, WERRORError
from samba.dcerpc import svcctl  # type: ignore[import-not-found] # likewise

DACL = 4
MORE_DATA = 234
results: dict[str, Any] = {}


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        result = call(*arguments)
    except (WERRORError, NTSTATUSError) as error:
        return error.args[0] & 0xFFFFFFFF
    return "ok" if result is None else result


def note(name: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Call it, and remember the result as far as JSON can say it."""
    result = outcome(call, *arguments)
    results[name] = result if isinstance(result, int) else "ok"
    return result


def fields(structure: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(structure, name) for name in names}


def main(binding: str, directory: str = "", user: str = "", password: str = "") -> None:
    parameters = samba.param.LoadParm()
    if directory:
        parameters.set("ncalrpc dir", directory)
    c = svcctl.svcctl(binding, parameters, *credentials(parameters, user, password))
    scm = c.OpenSCManagerW("DUMMY", "ServicesActive", 0xF003F)
    results["OpenSCManagerW wrong"] = outcome(c.OpenSCManagerW, None, "Other", 1)
    note("OpenSCManagerA", c.OpenSCManagerA, None, None, 1)
    create(c, scm)
    service = c.OpenServiceW(scm, "Bound", 0xF01FF)
    results["OpenServiceW missing"] = outcome(c.OpenServiceW, scm, "Missing", 4)
    configure(c, service)
    run(c, service)
    enumerate_(c, scm, service)
    administer(c, scm, service)
    for name in ("SCSetServiceBitsW", "SCSetServiceBitsA"):
        results[name] = outcome(getattr(c, name), service, 1, 1, 1)
    note("DeleteService", c.DeleteService, service)
    results["DeleteService again"] = outcome(c.DeleteService, service)
    note("CloseServiceHandle", c.CloseServiceHandle, service)
    print(json.dumps(results))


def credentials(parameters: Any, user: str, password: str) -> list[Any]:
    if not user:
        return []
    from samba.credentials import Credentials  # type: ignore[import-not-found] # likewise

    known = Credentials()
    known.guess(parameters)
    known.set_username(user)
    known.set_password(password)
    return [known]


def create(c: Any, scm: Any) -> None:
    own, demand, normal = 0x10, 3, 1
    arguments = (scm, "Bound", "Bound service", 0xF01FF, own, demand, normal, "srvany", None, None)
    tag, handle = c.CreateServiceW(*arguments, [], None, [])
    results["CreateServiceW"] = tag or "ok"
    c.CloseServiceHandle(handle)
    results["CreateServiceW again"] = outcome(c.CreateServiceW, *arguments, [], None, [])


def configure(c: Any, service: Any) -> None:
    results["QueryServiceConfigW small"] = outcome(c.QueryServiceConfigW, service, 0)
    query, _ = c.QueryServiceConfigW(service, 8192)
    results["configuration"] = fields(
        query, "service_type", "start_type", "error_control", "executablepath", "displayname"
    )
    for level in range(14):
        small = outcome(c.QueryServiceConfig2W, service, level, 0)
        results[f"QueryServiceConfig2W {level}"] = small
    note("QueryServiceConfig2W", c.QueryServiceConfig2W, service, 1, 8192)


def run(c: Any, service: Any) -> None:
    status = c.QueryServiceStatus(service)
    results["QueryServiceStatus"] = fields(status, "type", "state", "win32_exit_code")
    results["ControlService stopped"] = outcome(c.ControlService, service, 1)
    results["ControlService 0"] = outcome(c.ControlService, service, 0)
    results["QueryServiceStatusEx small"] = outcome(c.QueryServiceStatusEx, service, 0, 35)
    results["QueryServiceStatusEx level"] = outcome(c.QueryServiceStatusEx, service, 1, 36)
    results["QueryServiceStatusEx"] = c.QueryServiceStatusEx(service, 0, 36)[1]
    results["StartServiceW"] = outcome(c.StartServiceW, service, [])
    results["StartServiceA"] = outcome(c.StartServiceA, service, 0, None)


def enumerate_(c: Any, scm: Any, service: Any) -> None:
    for name in ("EnumServicesStatusW", "EnumServicesStatusA"):
        results[f"{name} small"] = outcome(getattr(c, name), scm, 0x30, 3, 0, 0)
        results[name] = getattr(c, name)(scm, 0x30, 3, 262144, 0)[2]
        results[f"{name} type"] = outcome(getattr(c, name), scm, 0, 3, 0, 0)
    results["EnumServicesStatusExW"] = c.EnumServicesStatusExW(scm, 0, 0x30, 3, 262144, 0, None)[2]
    results["EnumServicesStatusExW level"] = outcome(
        c.EnumServicesStatusExW, scm, 1, 0x30, 3, 262144, 0, None
    )
    for name in ("EnumDependentServicesW", "EnumDependentServicesA"):
        results[name] = getattr(c, name)(service, 3, 0)[2]
        results[f"{name} state"] = outcome(getattr(c, name), service, 0, 0)


def administer(c: Any, scm: Any, service: Any) -> None:
    lock = note("LockServiceDatabase", c.LockServiceDatabase, scm)
    results["LockServiceDatabase again"] = outcome(c.LockServiceDatabase, scm)
    for name in ("QueryServiceLockStatusW", "QueryServiceLockStatusA"):
        results[f"{name} small"] = outcome(getattr(c, name), scm, 0)
    status, needed = c.QueryServiceLockStatusW(scm, 4096)
    results["QueryServiceLockStatusW"] = [status.is_locked, status.lock_owner, needed]
    note("UnlockServiceDatabase", c.UnlockServiceDatabase, lock)
    for name, handle in (("service", service), ("scm", scm)):
        small = outcome(c.QueryServiceObjectSecurity, handle, DACL, 0)
        data, needed = c.QueryServiceObjectSecurity(handle, DACL, 262144)
        results[f"QueryServiceObjectSecurity {name}"] = [small, needed > 100]
        results[f"SetServiceObjectSecurity {name}"] = outcome(
            c.SetServiceObjectSecurity, handle, DACL, data[:needed]
        )
    results["SetServiceObjectSecurity wrong"] = outcome(
        c.SetServiceObjectSecurity, service, DACL, [1, 2, 3]
    )


main(*sys.argv[1:])
