"""The table of `test_every_operation`: what each operation that takes a handle is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scmd.ndr.structure import Structure
from scmd.security.defaults import SERVICE_DESCRIPTOR
from scmd.svcctl import administration, configuration, control, opening
from scmd.svcctl.configuration import ConfigInfo
from scmd.svcctl.interface import ScmRequest, ServiceRequest
from scmd.vocabulary.status import ServiceStatus

MARK = 0x1234
"""A buffer size that is found again in the bytes of a request."""
STOP_REASON = control.ControlReasonIn(reason=0x4002_0004)


@dataclass(frozen=True)
class Case:
    """`kind` of handle, the right it needs, what a request is, its result when all is well."""

    kind: str
    right: int
    request: Callable[[Any], Structure]
    result: int = 0
    denied: int = 5
    short: int = 0
    """The result for a buffer that is too small."""
    wrong: int = 6
    """For a handle of another kind."""


def creation(kind: type[Structure], **more: object) -> Callable[[Any], Structure]:
    return lambda handle: kind(
        scm=handle,
        name="New",
        desired_access=0,
        type=0x10,
        start_type=3,
        error_control=1,
        binary_path_name="/bin/new",
        **more,
    )


def level(number: int) -> Callable[[Any], Structure]:
    kind = configuration.QueryServiceConfig2Request
    return lambda handle: kind(service=handle, level=number, buffer_size=MARK)


CREATION = creation(configuration.CreateServiceRequest)
DACL = SERVICE_DESCRIPTOR.to_bytes()
STOP = Case(
    "service", 0x20, lambda h: control.ControlServiceRequest(service=h, control=1), result=1062
)
STOP_EX = Case(
    "service",
    0x20,
    lambda h: control.ControlServiceExRequest(service=h, control=1, parameters=STOP_REASON),
    result=1062,
)
START = Case("service", 0x10, lambda h: control.StartServiceRequest(service=h), result=1058)
CHANGE = Case("service", 0x2, lambda h: configuration.ChangeServiceConfigRequest(service=h))
CHANGE2 = Case(
    "service",
    0x2,
    lambda h: configuration.ChangeServiceConfig2Request(
        service=h, config=ConfigInfo(level=3, info=configuration.ServiceFlag(value=1))
    ),
)
DEPENDENTS = Case(
    "service",
    0x8,
    lambda h: control.EnumDependentServicesRequest(service=h, state=3, buffer_size=MARK),
    short=234,
)
SERVICES = Case(
    "scm",
    0x4,
    lambda h: control.EnumServicesStatusRequest(
        scm=h, type=0x30, state=3, buffer_size=MARK, resume_index=0
    ),
    short=234,
)
SERVICES_EX = Case(
    "scm",
    0x4,
    lambda h: control.EnumServicesStatusExRequest(scm=h, type=0x30, state=3, buffer_size=MARK),
    short=234,
)
CONFIG = Case(
    "service",
    0x1,
    lambda h: configuration.QueryServiceConfigRequest(service=h, buffer_size=MARK),
    short=122,
)
CONFIG2 = Case("service", 0x1, level(1), short=122)
LOCK_STATUS = Case(
    "scm",
    0x10,
    lambda h: administration.QueryServiceLockStatusRequest(scm=h, buffer_size=0xABC),
    short=122,
)
OPEN = Case("scm", 0, lambda h: opening.OpenServiceRequest(scm=h, name="a", desired_access=4))
NAME = Case("scm", 0, lambda h: control.NameRequest(scm=h, name="A", buffer_size=100))
CREATE = Case("scm", 0x2, CREATION)

CASES: dict[int, Case] = {
    0: Case("any", 0, lambda h: opening.CloseServiceHandleRequest(handle=h)),
    1: STOP,
    2: Case("service", 0x10000, lambda h: ServiceRequest(service=h)),
    3: Case("scm", 0x8, lambda h: ScmRequest(scm=h)),
    4: Case(
        "any",
        0x20000,
        lambda h: administration.QueryServiceObjectSecurityRequest(
            handle=h, security_information=4, buffer_size=MARK
        ),
        short=122,
    ),
    5: Case(
        "any",
        0x40000,
        lambda h: administration.SetServiceObjectSecurityRequest(
            handle=h, security_information=4, security_descriptor=DACL
        ),
    ),
    6: Case("service", 0x4, lambda h: ServiceRequest(service=h)),
    7: Case(
        "service",
        0x8000,
        lambda h: control.SetServiceStatusRequest(service=h, status=ServiceStatus(state=4)),
        result=6,
        denied=6,
    ),
    8: Case("lock", 0, lambda h: administration.LockRequest(lock=h), wrong=1071),
    11: CHANGE,
    12: CREATE,
    13: DEPENDENTS,
    14: SERVICES,
    16: OPEN,
    17: CONFIG,
    18: LOCK_STATUS,
    19: START,
    20: NAME,
    21: NAME,
    23: CHANGE,
    24: CREATE,
    25: DEPENDENTS,
    26: SERVICES,
    28: OPEN,
    29: CONFIG,
    30: LOCK_STATUS,
    31: START,
    32: NAME,
    33: NAME,
    35: Case(
        "scm",
        0x4,
        lambda h: control.EnumServiceGroupRequest(
            scm=h, type=0x30, state=3, buffer_size=MARK, group="g"
        ),
        short=234,
    ),
    36: CHANGE2,
    37: CHANGE2,
    38: CONFIG2,
    39: CONFIG2,
    40: Case(
        "service",
        0x4,
        lambda h: control.QueryServiceStatusExRequest(service=h, buffer_size=MARK),
        short=122,
    ),
    41: SERVICES_EX,
    42: SERVICES_EX,
    44: CREATE,
    45: CREATE,
    50: STOP_EX,
    51: STOP_EX,
    56: Case(
        "service",
        0x1,
        lambda h: configuration.QueryServiceConfigExRequest(service=h, level=8),
    ),
    60: Case("scm", 0x2, creation(configuration.CreateWowServiceRequest)),
}
