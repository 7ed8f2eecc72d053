"""The answers of RQueryServiceConfig2, level by level ([MS-SCMR] 3.1.4.37, 2.2.34 to 2.2.55).

The value of each level, on both sides: 1 str; 2 FailureActions; 3, 4 and 11 bool; 5, 7, 10 and
12 int; 6 tuple of str; 9 int, or None for no preferred node (fDelete is then set). Level 8 is an
NDR structure of RQueryServiceConfigEx, never a buffer.
"""

from __future__ import annotations

from struct import Struct as Packer
from struct import error as StructError

from scmd.ndr.errors import NdrError
from scmd.svcctl.buffers import pack_multi_string, unpack_multi_string
from scmd.svcctl.text import MAX_TEXT_UNITS, encode_text, text_at
from scmd.vocabulary.configuration import FailureAction, FailureActions, ServiceConfig
from scmd.vocabulary.service import MAX_ACTIONS, ActionType, ConfigLevel

TYPE_CHECKING = False
if TYPE_CHECKING:
    Config2Value = str | bool | int | tuple[str, ...] | FailureActions | None

QUERY_LEVELS = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12)
"""Any other is ERROR_INVALID_LEVEL."""
_DWORD = Packer("<I")
_FAILURE_ACTIONS = Packer("<5I")
_ACTION = Packer("<2I")
_PREFERRED_NODE = Packer("<HBx")


def pack_config2(level: int, config: ServiceConfig, *, ansi: bool = False) -> bytes:
    """The buffer of a level in `QUERY_LEVELS`, exactly as long as needed."""
    match level:
        case ConfigLevel.DESCRIPTION:
            text = config.description
            return _DWORD.pack(4) + encode_text(text, ansi) if text else bytes(4)
        case ConfigLevel.FAILURE_ACTIONS:
            return _pack_failure_actions(config.failure_actions, ansi)
        case ConfigLevel.DELAYED_AUTO_START_INFO:
            return _DWORD.pack(config.delayed_auto_start)
        case ConfigLevel.FAILURE_ACTIONS_FLAG:
            return _DWORD.pack(config.failure_actions_flag)
        case ConfigLevel.SERVICE_SID_INFO:
            return _DWORD.pack(config.sid_type)
        case ConfigLevel.REQUIRED_PRIVILEGES_INFO:
            privileges = config.required_privileges
            return _DWORD.pack(4) + pack_multi_string(privileges) if privileges else bytes(4)
        case ConfigLevel.PRESHUTDOWN_INFO:
            return _DWORD.pack(config.preshutdown_timeout)
        case ConfigLevel.PREFERRED_NODE:
            node = config.preferred_node
            return _PREFERRED_NODE.pack(node or 0, node is None)
        case ConfigLevel.RUNLEVEL_INFO:
            return _DWORD.pack(config.run_level)
        case ConfigLevel.MANAGED_ACCOUNT_INFO:
            return _DWORD.pack(config.managed_account)
        case ConfigLevel.LAUNCH_PROTECTED:
            return _DWORD.pack(config.launch_protected)
    raise NdrError(f"level {level} is not one of a buffer")


def unpack_config2(level: int, buffer: bytes, *, ansi: bool = False) -> Config2Value:
    """The value of a level in `QUERY_LEVELS`."""
    try:
        return _unpack(level, buffer, ansi)
    except StructError as error:
        raise NdrError(f"level {level}: {error}") from error


def _unpack(level: int, buffer: bytes, ansi: bool) -> Config2Value:
    match level:
        case ConfigLevel.FAILURE_ACTIONS:
            return _unpack_failure_actions(buffer, ansi)
        case ConfigLevel.PREFERRED_NODE:
            node, delete = _PREFERRED_NODE.unpack_from(buffer)
            return None if delete else int(node)
    (number,) = _DWORD.unpack_from(buffer)
    match level:
        case ConfigLevel.DESCRIPTION:
            return _text(buffer, number, ansi)
        case (
            ConfigLevel.DELAYED_AUTO_START_INFO
            | ConfigLevel.FAILURE_ACTIONS_FLAG
            | ConfigLevel.MANAGED_ACCOUNT_INFO
        ):
            return bool(number)
        case (
            ConfigLevel.SERVICE_SID_INFO
            | ConfigLevel.PRESHUTDOWN_INFO
            | ConfigLevel.RUNLEVEL_INFO
            | ConfigLevel.LAUNCH_PROTECTED
        ):
            return int(number)
        case ConfigLevel.REQUIRED_PRIVILEGES_INFO:
            rest = buffer[number:] if number else b""
            return unpack_multi_string(rest[: len(rest) & -2])
    raise NdrError(f"level {level} is not one of a buffer")


def _pack_failure_actions(configured: FailureActions, ansi: bool) -> bytes:
    actions = b"".join([_ACTION.pack(a.type, a.delay) for a in configured.actions])
    offset = _FAILURE_ACTIONS.size + len(actions)
    offsets, texts = [], b""
    for text in (configured.reboot_message, configured.command):
        offsets.append(offset + len(texts) if text else 0)
        texts += encode_text(text, ansi) if text else b""
    header = _FAILURE_ACTIONS.pack(
        configured.reset_period_s,
        *offsets,
        len(configured.actions),
        _FAILURE_ACTIONS.size if actions else 0,
    )
    return header + actions + texts


def _unpack_failure_actions(buffer: bytes, ansi: bool) -> FailureActions:
    reset, message, command, count, offset = _FAILURE_ACTIONS.unpack_from(buffer)
    if not offset:
        count = 0
    if count > MAX_ACTIONS or offset + count * _ACTION.size > len(buffer):
        raise NdrError(f"{count} failure actions at {offset} of {len(buffer)} bytes")
    actions = []
    for index in range(count):
        kind, delay = _ACTION.unpack_from(buffer, offset + index * _ACTION.size)
        known = ActionType._value2member_map_.get(kind, kind)
        actions.append(FailureAction(type=known, delay=delay))
    return FailureActions(
        reset_period_s=reset,
        reboot_message=_text(buffer, message, ansi),
        command=_text(buffer, command, ansi),
        actions=tuple(actions),
    )


def _text(buffer: bytes, offset: int, ansi: bool) -> str:
    return text_at(buffer, offset, ansi, MAX_TEXT_UNITS) if offset else ""
