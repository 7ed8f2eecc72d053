"""The verdict on a boot: NotifyBootConfigStatus, [MS-SCMR] 3.1.4.10.

A boot is accepted once. There is no other configuration to go back to, so that a boot which
is found bad is logged and changes nothing: a restart would only meet the same configuration.
"""

from __future__ import annotations

from scmd.core import handles
from scmd.core.event_ids import EventId
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import LogEvent
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import ScmAccess


class NotifyBoot(Command, frozen=True):
    """Result: None. Needs SC_MANAGER_MODIFY_BOOT_CONFIG; 1076 when the boot was accepted before."""

    acceptable: bool


def notify_boot(state: State, command: NotifyBoot) -> None:
    caller = command.call.caller
    handles.grant_scm(state, caller.token, int(ScmAccess.MODIFY_BOOT_CONFIG))
    if state.boot_accepted:
        raise Refused(Error.BOOT_ALREADY_ACCEPTED)
    if command.acceptable:
        state.boot_accepted = True
    else:
        state.emit(LogEvent(int(EventId.BOOT_REJECTED), None, (caller.name, caller.origin)))
    state.reply(command.call.id, Error.SUCCESS)
