"""Instances of a template: as many records `NAME@1`, `NAME@2`... as it is to have.

What is missing is created like the template, what is too much is stopped and removed, the
highest number first; those between are not touched. Doing it again repairs what was broken off.
"""

from __future__ import annotations

from scmd.client import configuration
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import name_key, template_and_number
from scmd.vocabulary.service import ServiceAccess, ServiceState
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.scm import Scm
    from scmd.client.service import Service

COUNT = "AppInstances"
VIRTUAL = "NT SERVICE\\"
_GOING = (
    Error.SERVICE_NOT_ACTIVE,
    # One that was marked before is removed when nobody has a handle to it, such as ours.
    Error.SERVICE_MARKED_FOR_DELETE,
    Error.SERVICE_DOES_NOT_EXIST,
)
_ACTIVE = (ServiceState.RUNNING, ServiceState.START_PENDING)


def adjust(scm: Scm, name: str, count: int) -> None:
    """Give the template this many instances; new ones are started if it runs."""
    template = scm[name]
    present = _present(scm, name)
    template.parameters[COUNT] = count
    for number in sorted(number for number in present if number > count)[::-1]:
        _remove(scm, f"{name}@{number}")
    missing = [number for number in range(1, count + 1) if number not in present]
    made = [_create(scm, template, number) for number in missing]
    if template.status.state in _ACTIVE:
        for instance in made:
            _start(instance)


def _start(instance: Service) -> None:
    try:
        instance.start(wait=False)
    except WinError as error:
        # A template that is on its way up has its new instances started with the others.
        if error.winerror != Error.SERVICE_ALREADY_RUNNING:
            raise


def _present(scm: Scm, name: str) -> set[int]:
    """The numbers of those that are there."""
    found = set()
    for service in scm.services():
        names = template_and_number(service.name)
        if names is not None and name_key(names[0]) == name_key(name):
            found.add(names[1])
    return found


def _create(scm: Scm, template: Service, number: int) -> Service:
    """As the template is: account, failure actions, description; the rest it gets from there."""
    config = template.config
    actions = config.failure_actions
    instance = scm.create(
        f"{template.name}@{number}",
        config.image_path,
        account=_account(template.name, config.account, number),
        description=config.description,
        failure_actions_flag=config.failure_actions_flag,
    )
    if actions.actions:
        with instance.opened(ServiceAccess.CHANGE_CONFIG | ServiceAccess.START) as handle:
            configuration.change_failure_actions(
                scm.calls,
                handle,
                reset_period_s=actions.reset_period_s,
                command=actions.command,
                actions=actions.actions,
            )
    return instance


def _account(name: str, account: str, number: int) -> str:
    """The template's; a virtual account is each service's own."""
    if name_key(account) == name_key(VIRTUAL + name):
        return f"{VIRTUAL}{name}@{number}"
    return account


def remove_all(scm: Scm, name: str) -> None:
    """Before the template itself is removed."""
    for number in sorted(_present(scm, name))[::-1]:
        _remove(scm, f"{name}@{number}")


def _remove(scm: Scm, name: str) -> None:
    for step in (lambda: scm[name].stop(wait=True), lambda: scm[name].delete()):
        try:
            step()
        except WinError as error:
            if error.winerror not in _GOING:
                raise
