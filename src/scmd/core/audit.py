"""The audit trail: who asked for what, from where, and what came of it.

Every control, start and change is told when it is answered, whatever the answer; an open only
when it is refused for want of rights. Which command is told, and as what, is a table: a
command without a row is a query. The call's reply brings the entry out, however late it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scmd.core.boot_verdict import NotifyBoot
from scmd.core.locks import LockDatabase, UnlockDatabase
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    Command,
    ControlService,
    CreateService,
    DeleteService,
    KillService,
    OpenScm,
    OpenService,
    SetParameters,
    SetSettings,
    SetStatus,
    StartService,
)
from scmd.core.messages.effects import Audited
from scmd.core.object_security import SetSecurity
from scmd.core.state import State
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ConfigLevel, Control

SCM_TARGET = "the SCM"

_CONTROL_WORDS = {int(control): control.name for control in Control}
_LEVEL_WORDS = {int(level): level.name for level in ConfigLevel}


def _control(command: ControlService) -> str:
    return f"control {_CONTROL_WORDS.get(command.control, str(command.control))}"


def _change2(command: ChangeConfig2) -> str:
    return f"change {_LEVEL_WORDS.get(int(command.level), str(int(command.level)))}"


ACTIONS: Mapping[type[Command], str | Callable[[Any], str]] = {
    StartService: "start",
    ControlService: _control,
    KillService: "kill",
    CreateService: "create",
    ChangeConfig: "change configuration",
    ChangeConfig2: _change2,
    SetParameters: "change parameters",
    SetSettings: lambda command: f"change settings {', '.join(command.values)} of",
    DeleteService: "delete",
    SetSecurity: "change security",
    SetStatus: "set status",
    LockDatabase: "lock",
    UnlockDatabase: "unlock",
    NotifyBoot: "judge the boot of",
    OpenScm: "open",
    OpenService: "open",
}
"""What each audited command is called in the trail."""
REFUSALS = frozenset({OpenScm, OpenService})
"""Told only when they end with ERROR_ACCESS_DENIED."""


def expect(state: State, command: Command) -> None:
    """Have the reply of a command of `ACTIONS` told. One that had to wait is expected already."""
    if command.call.id in state.audits:
        return
    action = ACTIONS[type(command)]
    words = action if isinstance(action, str) else action(command)
    caller, target = command.call.caller, _target(state, command)
    only_refusal = type(command) in REFUSALS

    def answered(error: int) -> None:
        if not only_refusal or error == Error.ACCESS_DENIED:
            state.emit(Audited(caller, words, target, error))

    state.audits[command.call.id] = answered


def _target(state: State, command: Command) -> str:
    """The key name of the service that the command is about."""
    match command:
        case OpenService(name=name):
            return name
        case CreateService(config=config):
            return config.name
    id = getattr(command, "service", None) or getattr(command, "handle", None)
    if id is None:
        return SCM_TARGET
    handle = state.handles.get(id)
    if handle is None or handle.association != command.call.association:
        return "an unknown handle"
    return SCM_TARGET if handle.record is None else handle.record.config.name
