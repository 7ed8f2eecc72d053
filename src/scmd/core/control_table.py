"""The control tables: which a client may send, what each needs, and in which state.

One table for the controls and one for the states. The order of the checks is documented:
the control is known (87), the handle has the right (5), the state takes it (1062, 1061),
the service accepts it (1052), no dependent is active (1051). [MS-SCMR] 3.1.4.2, 3.1.4.47.
Delivery is `controls`' and `processes`'.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import (
    FIRST_USER_CONTROL,
    LAST_USER_CONTROL,
    Control,
    ControlsAccepted,
    ServiceAccess,
    ServiceState,
)

_S = ServiceState


class ControlRule(Struct, frozen=True):
    """The right a caller needs, and the bit a service must have accepted (0: none)."""

    right: int
    accepted: int


def _rule(right: ServiceAccess, accepted: ControlsAccepted | None = None) -> ControlRule:
    return ControlRule(int(right), int(accepted or 0))


_NETBIND = _rule(ServiceAccess.PAUSE_CONTINUE, ControlsAccepted.NETBINDCHANGE)

CONTROLS: Mapping[int, ControlRule] = {
    Control.STOP: _rule(ServiceAccess.STOP, ControlsAccepted.STOP),
    Control.PAUSE: _rule(ServiceAccess.PAUSE_CONTINUE, ControlsAccepted.PAUSE_CONTINUE),
    Control.CONTINUE: _rule(ServiceAccess.PAUSE_CONTINUE, ControlsAccepted.PAUSE_CONTINUE),
    Control.INTERROGATE: _rule(ServiceAccess.INTERROGATE),
    Control.PARAMCHANGE: _rule(ServiceAccess.PAUSE_CONTINUE, ControlsAccepted.PARAMCHANGE),
    Control.NETBINDADD: _NETBIND,
    Control.NETBINDREMOVE: _NETBIND,
    Control.NETBINDENABLE: _NETBIND,
    Control.NETBINDDISABLE: _NETBIND,
    **dict.fromkeys(
        range(FIRST_USER_CONTROL, LAST_USER_CONTROL + 1),
        _rule(ServiceAccess.USER_DEFINED_CONTROL),
    ),
}
"""What clients may send; every other code is 87. [MS-SCMR] 3.1.4.2."""

SCM_CONTROLS: Mapping[int, int] = {
    Control.SHUTDOWN: int(ControlsAccepted.SHUTDOWN),
    Control.PRESHUTDOWN: int(ControlsAccepted.PRESHUTDOWN),
}
"""What only the SCM sends, and the bit it needs."""

NOT_IN_STATE: Mapping[ServiceState, Error] = {
    _S.STOPPED: Error.SERVICE_NOT_ACTIVE,
    _S.START_PENDING: Error.SERVICE_CANNOT_ACCEPT_CTRL,
    _S.STOP_PENDING: Error.SERVICE_CANNOT_ACCEPT_CTRL,
}
"""States that take no control; but a START_PENDING service may accept STOP."""

STATUS_GIVEN_WITH = frozenset(
    {
        Error.SUCCESS,
        Error.DEPENDENT_SERVICES_RUNNING,
        Error.INVALID_SERVICE_CONTROL,
        Error.SERVICE_CANNOT_ACCEPT_CTRL,
        Error.SERVICE_NOT_ACTIVE,
    }
)
"""Results with which the last status is given to the caller."""


def check(current: int, controls_accepted: int, control: int, accepted: int) -> Error:
    """What state and accepted controls say to a known control; SUCCESS: nothing against it."""
    early_stop = current == _S.START_PENDING and control == Control.STOP
    if not early_stop:
        error = NOT_IN_STATE.get(ServiceState(current))
        if error is not None:
            return error
    if accepted & ~controls_accepted:
        return Error.INVALID_SERVICE_CONTROL
    return Error.SUCCESS


def refusal(state: State, record: ServiceRecord, control: int, *, dependents: bool = True) -> Error:
    """Why a known control cannot be delivered now, or SUCCESS.

    `dependents`: those that run keep it from being stopped.
    """
    rule = CONTROLS.get(control)
    accepted = rule.accepted if rule is not None else SCM_CONTROLS[control]
    status = record.status
    error = check(status.state, status.controls_accepted, control, accepted)
    if error:
        return error
    if record.is_built_in and control != Control.INTERROGATE:
        return Error.INVALID_SERVICE_CONTROL
    if record.run is not None and rule is not None and not _program_takes(control):
        return Error.INVALID_SERVICE_CONTROL
    if dependents and control == Control.STOP and state.index.has_active_dependent(record):
        return Error.DEPENDENT_SERVICES_RUNNING
    return Error.SUCCESS


def _program_takes(control: int) -> bool:
    """An unmodified program has no Handler: the SCM itself does it and answers for it."""
    return control in (Control.STOP, Control.INTERROGATE, Control.PARAMCHANGE)
