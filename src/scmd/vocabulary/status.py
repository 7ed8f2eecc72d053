"""What a service says about itself: SERVICE_STATUS and SERVICE_STATUS_PROCESS."""

from __future__ import annotations

from scmd.vocabulary.service import ServiceState, ServiceType
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
