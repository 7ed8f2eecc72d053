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


_TYPE_FLAGS = (
    ServiceType.USER_SERVICE
    | ServiceType.USERSERVICE_INSTANCE
    | ServiceType.INTERACTIVE_PROCESS
    | ServiceType.PKG_SERVICE
).value
_WIN32_TYPES = (ServiceType.WIN32_OWN_PROCESS.value, ServiceType.WIN32_SHARE_PROCESS.value)
_DRIVER_TYPES = (ServiceType.KERNEL_DRIVER.value, ServiceType.FILE_SYSTEM_DRIVER.value)
_ACCEPT_BITS = sum(bit.value for bit in ControlsAccepted)


def is_reportable(status: ServiceStatus) -> bool:
    """Whether SetServiceStatus takes these values; if not, error 13 ([MS-SCMR] 3.1.4.8).

    Values only: which state a report comes from is never a reason to refuse it.
    """
    return (
        ServiceState.STOPPED <= status.state <= ServiceState.PAUSED
        and (status.type & ~_TYPE_FLAGS in _WIN32_TYPES or status.type in _DRIVER_TYPES)
        and status.controls_accepted >= 0
        and not status.controls_accepted & ~_ACCEPT_BITS
    )
