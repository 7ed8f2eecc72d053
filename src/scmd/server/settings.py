"""SCM-wide values over the scmd interface: shown with what they mean, and changed."""

from __future__ import annotations

import msgspec

from scmd.core.control_values import SETTINGS, settings_from
from scmd.core.messages import Settings
from scmd.core.messages.commands import CheckScmHandle, QuerySettings, SetSettings
from scmd.core.messages.effects import Reply
from scmd.ndr.errors import NdrError
from scmd.scmd_interface.operations import (
    MAX_DETAIL,
    CheckedResponse,
    JsonResponse,
    ParameterChange,
    ScmRequest,
    SetSettingsRequest,
)
from scmd.scmd_interface.parameters import unpack_changes
from scmd.server.steps import Steps, Work
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ScmAccess


def query_settings(work: Work, request: ScmRequest) -> Steps[JsonResponse]:
    reply = yield QuerySettings(work.call, work.handle(request.scm))
    if reply.error:
        return JsonResponse(error=reply.error)
    assert isinstance(reply.result, Settings)
    in_force, default = reply.result, settings_from({}, Settings())
    lines = [
        msgspec.json.encode(
            {
                "name": setting.name,
                "value": setting.shown(in_force),
                "default": setting.shown(default),
                "unit": setting.unit,
                "meaning": setting.meaning,
            }
        )
        for setting in SETTINGS
    ]
    return JsonResponse(document=b"".join(line + b"\n" for line in lines), error=0)


def set_settings(work: Work, request: SetSettingsRequest) -> Steps[CheckedResponse]:
    scm = work.handle(request.scm)
    values = changed_values(request.changes)
    if values is None:
        reply = yield CheckScmHandle(work.call, scm, ScmAccess.ALL_ACCESS)
        return CheckedResponse(error=reply.error or Error.INVALID_PARAMETER)
    return change_response((yield SetSettings(work.call, scm, values)))


def changed_values(
    changes: tuple[ParameterChange, ...] | None,
) -> dict[str, RegistryValue | None] | None:
    """The values by name; None when one makes no sense or is named twice."""
    try:
        values = unpack_changes(changes)
    except NdrError:
        return None
    return values if len(values) == len(changes or ()) else None


def change_response(reply: Reply) -> CheckedResponse:
    """What became of a change, with what was wrong about it if that is known."""
    if reply.error and isinstance(reply.result, str):
        # A character takes two units at most.
        detail = reply.result[: (MAX_DETAIL - 1) // 2]
        return CheckedResponse(detail=detail, error=reply.error)
    return CheckedResponse(error=reply.error)
