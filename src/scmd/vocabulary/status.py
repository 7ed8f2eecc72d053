"""What a service says about itself: SERVICE_STATUS and SERVICE_STATUS_PROCESS."""

from __future__ import annotations

from scmd.vocabulary.service import ControlsAccepted, ServiceState, ServiceType
from scmd.vocabulary.value import Value


class ServiceStatus(Value):
    """SERVICE_STATUS_PROCESS, [MS-SCMR] 2.2.49; the first seven fields are SERVICE_STATUS."""

    type: int = ServiceType.WIN32_OWN_PROCESS
    """A single legal combination of `ServiceType` bits."""
    state: int = ServiceState.STOPPED
    controls_accepted: int = 0
    win32_exit_code: int = 0
    """1066 means: look at `service_specific_exit_code`; 1077: never started since boot."""
    service_specific_exit_code: int = 0
    check_point: int = 0
    wait_hint: int = 0
    """Milliseconds until the next check point or state, promised by the service."""
    process_id: int = 0
    """0 when not running."""
    service_flags: int = 0


_INTERACTIVE = ServiceType.INTERACTIVE_PROCESS.value
LEGAL_TYPES = frozenset(
    {
        ServiceType.KERNEL_DRIVER.value,
        ServiceType.FILE_SYSTEM_DRIVER.value,
        ServiceType.ADAPTER.value,
        ServiceType.RECOGNIZER_DRIVER.value,
        *(win32 | interactive for win32 in (0x10, 0x20, 0x30) for interactive in (0, _INTERACTIVE)),
    }
)
_ACCEPT_BITS = sum(bit.value for bit in ControlsAccepted)


def illegal(status: ServiceStatus) -> str:
    """What is wrong with a report's values, error 13 ([MS-SCMR] 3.1.4.8); "": nothing is.

    Values only: which state a report comes from is never a reason to refuse it.
    """
    if not ServiceState.STOPPED <= status.state <= ServiceState.PAUSED:
        return f"state {status.state} is not one of 1 to 7"
    if status.type not in LEGAL_TYPES:
        return f"type {status.type:#x} is not a legal service type"
    if status.controls_accepted & ~_ACCEPT_BITS:
        return f"controls accepted {status.controls_accepted:#x} has unknown bits"
    return ""
