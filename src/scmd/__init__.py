"""scmd: the Windows NT service system for Linux.

A lazy façade: importing it imports nothing. The small API lives in `scmd.sdk`, the client in
`scmd.client`, the Win32 functions in `scmd.winsvc`.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.scm import connect as connect
    from scmd.client.service import WaitFailed as WaitFailed
    from scmd.client.watching import Change as Change
    from scmd.client.watching import watch as watch
    from scmd.sdk.context import ServiceContext as ServiceContext
    from scmd.sdk.context import ServiceExit as ServiceExit
    from scmd.sdk.service import Service as Service
    from scmd.sdk.service import on as on
    from scmd.sdk.service import run as run
    from scmd.sdk.service import service as service
    from scmd.vocabulary.service import ServiceState as ServiceState
    from scmd.vocabulary.service import StartType as StartType
    from scmd.vocabulary.status import ServiceStatus as ServiceStatus
    from scmd.vocabulary.winerror import WinError as WinError

_PLACES = {
    "Change": "scmd.client.watching",
    "Service": "scmd.sdk.service",
    "ServiceContext": "scmd.sdk.context",
    "ServiceExit": "scmd.sdk.context",
    "ServiceState": "scmd.vocabulary.service",
    "ServiceStatus": "scmd.vocabulary.status",
    "StartType": "scmd.vocabulary.service",
    "WaitFailed": "scmd.client.service",
    "WinError": "scmd.vocabulary.winerror",
    "connect": "scmd.client.scm",
    "on": "scmd.sdk.service",
    "run": "scmd.sdk.service",
    "service": "scmd.sdk.service",
    "watch": "scmd.client.watching",
}
__all__ = sorted([*_PLACES, "winsvc"])


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "winsvc":
        return import_module("scmd.winsvc")
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'scmd' has no attribute {name!r}")
    value = getattr(import_module(place), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
