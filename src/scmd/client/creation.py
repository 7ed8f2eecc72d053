"""A new service with everything it is to have, in one step where the server is scmd.

[MS-SCMR] creates a record with what RCreateServiceW says and changes it afterwards. An scmd of
version 1.7 or later is told before what else there is to be; with other servers the changes
follow, and when one of them fails the record is deleted again.
"""

from __future__ import annotations

from scmd.client import configuration
from scmd.vocabulary.configuration import FailureAction
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ActionType, ConfigLevel, ScmAccess, ServiceAccess
from scmd.vocabulary.value import Value
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.vocabulary.configuration import ServiceConfig
    from scmd.vocabulary.registry import RegistryValue

RESET_PERIOD_S = 86_400
_NOT_THERE = (Error.CALL_NOT_IMPLEMENTED, Error.RPC_PROCNUM_OUT_OF_RANGE)
_ACCESS = ServiceAccess.CHANGE_CONFIG | ServiceAccess.START | ServiceAccess.DELETE


class Besides(Value):
    """What RCreateServiceW cannot say."""

    description: str = ""
    delayed: bool = False
    failure_actions_flag: bool = False
    restart_delay: int | None = None
    """Milliseconds from a failure to the restart."""
    parameters: Mapping[str, RegistryValue] = {}

    @property
    def actions(self) -> tuple[FailureAction, ...]:
        if self.restart_delay is None:
            return ()
        return (FailureAction(type=ActionType.RESTART, delay=self.restart_delay),)


def create(calls: Calls, record: ServiceConfig, password: str | None, besides: Besides) -> None:
    """The record and all the rest of it, or neither."""
    scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.CREATE_SERVICE)
    try:
        is_prepared = besides == Besides() or _prepare(calls, scm, record.image_path, besides)
        service, _ = configuration.create_service(calls, scm, record, _ACCESS, password)
    finally:
        if not calls.is_closed:
            calls.close_handle(scm)
    try:
        if not is_prepared:
            _change(calls, service, besides)
    except BaseException:
        if not calls.is_closed:
            configuration.delete_service(calls, service)
        raise
    finally:
        if not calls.is_closed:
            calls.close_handle(service)


def _prepare(calls: Calls, scm: ContextHandle, image_path: str, besides: Besides) -> bool:
    """Whether the server will see to it."""
    from scmd.client.management import prepare_service

    try:
        prepare_service(
            calls,
            scm,
            image_path,
            besides.parameters,
            description=besides.description,
            delayed=besides.delayed,
            failure_actions_flag=besides.failure_actions_flag,
            reset_period_s=RESET_PERIOD_S,
            actions=besides.actions,
        )
    except WinError as error:
        if error.winerror not in _NOT_THERE:
            raise
        return False
    return True


def _change(calls: Calls, service: ContextHandle, besides: Besides) -> None:
    changes: tuple[tuple[ConfigLevel, str | bool], ...] = (
        (ConfigLevel.DESCRIPTION, besides.description),
        (ConfigLevel.DELAYED_AUTO_START_INFO, besides.delayed),
        (ConfigLevel.FAILURE_ACTIONS_FLAG, besides.failure_actions_flag),
    )
    for level, value in changes:
        if value:
            configuration.change_config2(calls, service, level, value)
    if besides.actions:
        configuration.change_failure_actions(
            calls, service, reset_period_s=RESET_PERIOD_S, actions=besides.actions
        )
    if besides.parameters:
        from scmd.client.management import set_parameters

        set_parameters(calls, service, besides.parameters)
