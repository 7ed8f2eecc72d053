"""What administers the SCM itself: its lock, security descriptors, the boot's verdict, triggers."""

from __future__ import annotations

from scmd.ndr.values import Guid
from scmd.svcctl import administration as wire
from scmd.svcctl import configuration
from scmd.svcctl.interface import ScmRequest
from scmd.vocabulary.configuration import Trigger, TriggerItem
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ConfigLevel
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle

FIRST_BYTES = 1024
MAX_LOCK_BYTES = 4096
MAX_DESCRIPTOR_BYTES = 262_144
_NEEDS_BUFFER = (Error.INSUFFICIENT_BUFFER,)


class LockStatus(Value):
    """QUERY_SERVICE_LOCK_STATUS; the duration in seconds."""

    is_locked: bool
    owner: str
    duration: int


def lock_database(calls: Calls, scm: ContextHandle) -> ContextHandle:
    """The lock's handle; 1055 when somebody else has it. It ends with the connection."""
    return calls.call(wire.LOCK_SERVICE_DATABASE, ScmRequest(scm=scm)).handle


def unlock_database(calls: Calls, lock: ContextHandle) -> None:
    calls.call(wire.UNLOCK_SERVICE_DATABASE, wire.LockRequest(lock=lock))


def query_lock_status(calls: Calls, scm: ContextHandle) -> LockStatus:
    request = wire.QueryServiceLockStatusRequest(scm=scm, buffer_size=MAX_LOCK_BYTES)
    found = calls.call(wire.QUERY_SERVICE_LOCK_STATUS_W, request).status
    return LockStatus(
        is_locked=bool(found.is_locked),
        owner=found.lock_owner or "",
        duration=found.lock_duration,
    )


def query_security(calls: Calls, handle: ContextHandle, information: int) -> bytes:
    """The asked components (SECURITY_INFORMATION bits) as a self-relative descriptor."""
    size = FIRST_BYTES
    while True:
        request = wire.QueryServiceObjectSecurityRequest(
            handle=handle, security_information=information, buffer_size=size
        )
        allowed = _NEEDS_BUFFER if size < MAX_DESCRIPTOR_BYTES else ()
        answer = calls.call(wire.QUERY_SERVICE_OBJECT_SECURITY, request, allowed)
        if not answer.error:
            return answer.security_descriptor[: answer.bytes_needed or size]
        size = MAX_DESCRIPTOR_BYTES


def set_security(calls: Calls, handle: ContextHandle, information: int, descriptor: bytes) -> None:
    """Replace the components that the bits name by those of a self-relative descriptor."""
    request = wire.SetServiceObjectSecurityRequest(
        handle=handle, security_information=information, security_descriptor=descriptor
    )
    calls.call(wire.SET_SERVICE_OBJECT_SECURITY, request)


def notify_boot_config_status(calls: Calls, acceptable: bool) -> None:
    """Accept this boot, or say that it is no good; 1076 when it was accepted before."""
    request = wire.NotifyBootConfigStatusRequest(boot_acceptable=int(acceptable))
    calls.call(wire.NOTIFY_BOOT_CONFIG_STATUS, request)


def query_triggers(calls: Calls, service: ContextHandle) -> tuple[Trigger, ...]:
    request = configuration.QueryServiceConfigExRequest(
        service=service, level=ConfigLevel.TRIGGER_INFO
    )
    info = calls.call(configuration.QUERY_SERVICE_CONFIG_EX, request).config.info
    assert info is None or isinstance(info, configuration.TriggerInfo)
    found = info.triggers if info is not None else None
    return tuple(map(_trigger, found or ()))


def _trigger(wire_trigger: configuration.ServiceTrigger) -> Trigger:
    items = wire_trigger.data_items or ()
    return Trigger(
        type=wire_trigger.trigger_type,
        action=wire_trigger.action,
        subtype=bytes(wire_trigger.trigger_subtype or bytes(16)),
        items=tuple(TriggerItem(type=item.data_type, data=item.data or b"") for item in items),
    )


def change_triggers(calls: Calls, service: ContextHandle, triggers: Sequence[Trigger]) -> None:
    """Replace all triggers; () removes them."""
    listed = tuple(
        configuration.ServiceTrigger(
            trigger_type=trigger.type,
            action=trigger.action,
            trigger_subtype=Guid(trigger.subtype),
            data_items=tuple(
                configuration.TriggerDataItem(data_type=item.type, data=item.data)
                for item in trigger.items
            )
            or None,
        )
        for trigger in triggers
    )
    info = configuration.TriggerInfo(triggers=listed or None)
    config = configuration.ConfigInfo(level=ConfigLevel.TRIGGER_INFO, info=info)
    request = configuration.ChangeServiceConfig2Request(service=service, config=config)
    calls.call(configuration.CHANGE_SERVICE_CONFIG_2_W, request)
