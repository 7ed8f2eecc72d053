"""impacket's SCMR calls, those its own test cases make; a program of its own, for its warnings.

`impacket_calls.py BINDING USER PASSWORD [ndr64]`: prints a JSON object, call to result; an error is
its number. The services it expects are made by the test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from impacket.dcerpc.v5 import scmr, transport
from impacket.dcerpc.v5.dtypes import DACL_SECURITY_INFORMATION, NULL
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_PRIVACY, DCERPCException
from impacket.uuid import uuidtup_to_bin

NDR64 = ("71710533-BEBA-4937-8319-B5DBEF9CCC36", "1.0")
NDR64_BYTES = uuidtup_to_bin(NDR64)
results: dict[str, Any] = {}


def note(name: str, call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Call it; the answer, or None after an error, whose number is noted."""
    try:
        answer = call(*arguments, **more)
    except DCERPCException as error:
        results[name] = error.get_error_code()
        return None
    results[name] = 0
    return answer


def two_steps(name: str, request: Any, dce: Any, size: str = "cbBufSize") -> Any:
    """Ask with no room, then with as much as is needed."""
    request[size] = 0
    try:
        dce.request(request)
    except DCERPCException as error:
        results[f"{name} small"] = error.get_error_code()
        request[size] = error.get_packet()["pcbBytesNeeded"]
    return note(name, dce.request, request)


def main(binding: str, user: str, password: str, syntax: str = "") -> None:
    rpc = transport.DCERPCTransportFactory(binding)
    rpc.set_credentials(user, password)
    dce = rpc.get_dce_rpc()
    if binding.startswith("ncacn_ip_tcp"):
        dce.set_auth_type(10)
        dce.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_PRIVACY)
    dce.connect()
    if syntax:
        dce.bind(scmr.MSRPC_UUID_SCMR, transfer_syntax=NDR64)
    else:
        dce.bind(scmr.MSRPC_UUID_SCMR)
    scm = scmr.hROpenSCManagerW(dce, "DUMMY\0", "ServicesActive\0", 0x3F)["lpScHandle"]
    query(dce, scm)
    control(dce, scm)
    configure(dce, scm)
    create(dce, scm)
    administer(dce, scm)
    reserved(dce, scm)
    print(json.dumps(results))


def open_service(dce: Any, scm: Any, name: str, access: int = 0xF01FF) -> Any:
    return scmr.hROpenServiceW(dce, scm, name + "\0", access)["lpServiceHandle"]


def query(dce: Any, scm: Any) -> None:
    handle = open_service(dce, scm, "PlugPlay")
    request = scmr.RQueryServiceStatusEx()
    request["hService"], request["InfoLevel"], request["cbBufSize"] = handle, 0, 100
    answer = note("RQueryServiceStatusEx", dce.request, request)
    results["RQueryServiceStatusEx needed"] = answer["pcbBytesNeeded"]
    results["RQueryServiceStatus"] = scmr.hRQueryServiceStatus(dce, handle)["lpServiceStatus"][
        "dwCurrentState"
    ]
    name = scmr.hRGetServiceDisplayNameW(dce, scm, "PlugPlay\0", 1024)
    results["RGetServiceDisplayNameW"] = name["lpDisplayName"][:-1]
    name = scmr.hRGetServiceKeyNameW(dce, scm, "Plug and Play\0", 1024)
    results["RGetServiceKeyNameW"] = name["lpDisplayName"][:-1]
    found = scmr.hREnumServicesStatusW(dce, scm, 0x33, 3)
    results["REnumServicesStatusW"] = sorted(entry["lpServiceName"][:-1] for entry in found)
    request = scmr.REnumServicesStatusExW()
    for field, value in (
        *(("hSCManager", scm), ("InfoLevel", 0), ("dwServiceType", 0x10)),
        *(("dwServiceState", 3), ("lpResumeIndex", NULL), ("pszGroupName", NULL)),
    ):
        request[field] = value
    two_steps("REnumServicesStatusExW", request, dce)
    request = scmr.REnumDependentServicesW()
    request["hService"], request["dwServiceState"], request["cbBufSize"] = handle, 3, 0
    note("REnumDependentServicesW", dce.request, request)
    scmr.hRCloseServiceHandle(dce, handle)


def control(dce: Any, scm: Any) -> None:
    handle = open_service(dce, scm, "PlugPlay")
    note("RStartServiceW", scmr.hRStartServiceW, dce, handle, 3, ["arg1\0", "arg2\0", "arg3\0"])
    handle = open_service(dce, scm, "CryptSvc")
    note("RControlService", scmr.hRControlService, dce, handle, scmr.SERVICE_CONTROL_STOP)
    note("RControlService again", scmr.hRControlService, dce, handle, scmr.SERVICE_CONTROL_STOP)


def configure(dce: Any, scm: Any) -> None:
    """Each level, written and read back to the byte."""
    note("ROpenServiceW missing", open_service, dce, scm, "TESTSVC")
    made = note(
        "RCreateServiceW",
        scmr.hRCreateServiceW,
        dce,
        scm,
        "TESTSVC\0",
        "DisplayName\0",
        lpBinaryPathName="binaryPath\0",
        dwStartType=scmr.SERVICE_DEMAND_START,
    )
    handle = made["lpServiceHandle"]
    for level, member, field, value in (
        (1, "psd", "lpDescription", "betobeto\0"),
        (3, "psda", "fDelayedAutostart", 0),
        (4, "psfaf", "fFailureActionsOnNonCrashFailures", 1),
        (5, "pssid", "dwServiceSidType", 1),
        (7, "psps", "dwPreshutdownTimeout", 22),
    ):
        request = scmr.RChangeServiceConfig2W(isNDR64=dce.transfer_syntax == NDR64_BYTES)
        request["hService"] = handle
        request["Info"]["dwInfoLevel"] = request["Info"]["Union"]["tag"] = level
        request["Info"]["Union"][member][field] = value
        note(f"RChangeServiceConfig2W {level}", dce.request, request)
        asked = scmr.RQueryServiceConfig2W()
        asked["hService"], asked["dwInfoLevel"] = handle, level
        answer = two_steps(f"RQueryServiceConfig2W {level}", asked, dce)
        results[f"buffer {level}"] = b"".join(answer["lpBuffer"]).hex()
    note("RDeleteService", scmr.hRDeleteService, dce, handle)
    scmr.hRCloseServiceHandle(dce, handle)


def create(dce: Any, scm: Any) -> None:
    """One field at a time, and the whole read back."""
    made = scmr.hRCreateServiceW(dce, scm, "CHANGING\0", "Before\0", lpBinaryPathName="before\0")
    handle = made["lpServiceHandle"]
    for field, value in (
        ("dwServiceType", scmr.SERVICE_WIN32_SHARE_PROCESS),
        ("dwStartType", scmr.SERVICE_DISABLED),
        ("dwErrorControl", scmr.SERVICE_ERROR_SEVERE),
        ("lpBinaryPathName", "BETOBETO\0"),
        ("lpLoadOrderGroup", "KKKK\0"),
        ("lpDependencies", "RemoteRegistry\0\0".encode("utf-16le")),
        ("lpDisplayName", "After\0"),
    ):
        more = {"dwDependSize": len(value)} if field == "lpDependencies" else {}
        note(
            f"RChangeServiceConfigW {field}",
            scmr.hRChangeServiceConfigW,
            dce,
            handle,
            **{field: value},
            **more,
        )
    config = scmr.hRQueryServiceConfigW(dce, handle)["lpServiceConfig"]
    results["configuration"] = [
        *(config[name] for name in ("dwServiceType", "dwStartType", "dwErrorControl")),
        *(config[name][:-1] for name in ("lpBinaryPathName", "lpLoadOrderGroup")),
        *(config[name].rstrip("/\0") for name in ("lpDependencies", "lpDisplayName")),
    ]
    note("RDeleteService changed", scmr.hRDeleteService, dce, handle)
    scmr.hRCloseServiceHandle(dce, handle)


def administer(dce: Any, scm: Any) -> None:
    lock = note("RLockServiceDatabase", scmr.hRLockServiceDatabase, dce, scm)
    note("RQueryServiceLockStatusW", scmr.hRQueryServiceLockStatusW, dce, scm, 1000)
    note("RUnlockServiceDatabase", scmr.hRUnlockServiceDatabase, dce, lock["lpLock"])
    request = scmr.RQueryServiceObjectSecurity()
    request["hService"], request["cbBufSize"] = scm, 0
    request["dwSecurityInformation"] = DACL_SECURITY_INFORMATION
    note("RQueryServiceObjectSecurity", dce.request, request)
    note("RNotifyBootConfigStatus", scmr.hRNotifyBootConfigStatus, dce, "DUMMY\0", 0)
    request = scmr.RQueryServiceConfigEx()
    request["hService"], request["dwInfoLevel"] = open_service(dce, scm, "RemoteRegistry"), 8
    note("RQueryServiceConfigEx", dce.request, request)


RESERVED = (10, 22, 34, 43, 46, 52, 53, 54, 55, 57, 58, 59, 61, 62, 63)
"""Numbers for local use; 10 and 22 are SetServiceBits."""


def reserved(dce: Any, scm: Any) -> None:
    """Those, and some above the last: a fault each, after which the connection is as it was."""
    handle = open_service(dce, scm, "PlugPlay")
    for opnum in (*RESERVED, 65, 100, 0xFFFF):
        dce.call(opnum, handle + bytes(12))
        try:
            dce.recv()
        except DCERPCException as error:
            results[f"operation {opnum}"] = str(error)
    note("RQueryServiceStatus after faults", scmr.hRQueryServiceStatus, dce, handle)


main(*sys.argv[1:])
