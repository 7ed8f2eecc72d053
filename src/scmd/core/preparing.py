"""What a service is to have from its first moment: Parameters and more, in one transaction.

[MS-SCMR] creates a record and then changes it, call by call; whoever is killed between two
calls leaves half a service. So an SCM handle can hold what the next service that is created
with it gets besides. It is checked when it is given, and again for what is created in truth.
"""

from __future__ import annotations

from scmd.core import handles, parameters
from scmd.core.config_levels import changed_by_level
from scmd.core.messages import Parameters
from scmd.core.messages.commands import PrepareService
from scmd.core.state import State
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import ScmAccess


def prepare_service(state: State, command: PrepareService) -> None:
    """Nothing is saved: with the handle it is forgotten."""
    handles.scm(state, command.call, command.scm, int(ScmAccess.CREATE_SERVICE))
    try:
        parameters.check(state, command.image_path, command.values)
    except Refused as refused:
        state.reply(command.call.id, refused.error, refused.detail)
        return
    handles.lookup(state, command.call, command.scm).prepared = command
    state.reply(command.call.id, Error.SUCCESS)


def completed(
    state: State, config: ServiceConfig, prepared: PrepareService | None, granted: int
) -> tuple[ServiceConfig, Parameters]:
    """A new service's configuration and Parameters, with what was prepared for it."""
    if prepared is None:
        return config, {}
    parameters.check(state, config.image_path, prepared.values)
    for level, value in prepared.changes:
        config = changed_by_level(config, level, value, granted, prepared.call.caller.token)
    return config, prepared.values
