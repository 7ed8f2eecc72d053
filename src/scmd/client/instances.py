"""Instances of a template: as many records `NAME@1`, `NAME@2`... as it is to have.

What is missing is created like the template, what is too much is stopped and removed, the
highest number first; those between are not touched. Doing it again repairs what was broken off.

Several clients may do it at once: each makes come true what it has written, looks what is written
then, and goes on with that. So whatever is done for a number that counts no more is followed by
somebody's look at the right one, and in the end there are as many as the last one wrote. What
cannot be created time and again is not somebody else's doing: a driver may have the name, or a
service that this client is not shown.
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
TRIES = 20
"""To create what is missing, while nobody writes another number."""


def adjust(scm: Scm, name: str, count: int) -> None:
    """Give the template this many instances; new ones are started if it runs."""
    template = scm[name]
    template.parameters[COUNT] = count
    left = TRIES
    while True:
        refused = _make_so(scm, template, count)
        before, count = count, _count(template)
        if count != before:
            left = TRIES
            continue
        if refused is None:
            return
        left -= 1
        if not left:
            raise refused


def _count(template: Service) -> int:
    """What is written now; 0: it is no template any more."""
    return int(template.parameters.get(COUNT, 0))


def _make_so(scm: Scm, template: Service, count: int) -> WinError | None:
    """Create and remove what it takes; an error: somebody else seems to have come between."""
    name = template.name
    present = _present(scm, name)
    for number in sorted(number for number in present if number > count)[::-1]:
        _remove(scm, f"{name}@{number}")
    missing = [number for number in range(1, count + 1) if number not in present]
    made: list[Service] = []
    refused = None
    for number in missing:
        try:
            made.append(_create(scm, template, number))
        except WinError as error:
            # There is one just now, or one is being removed.
            if error.winerror not in (Error.SERVICE_EXISTS, *_GOING):
                raise
            refused = error
    if template.status.state in _ACTIVE:
        for instance in made:
            _start(instance)
    return refused


def _start(instance: Service) -> None:
    try:
        instance.start(wait=False)
    except WinError as error:
        # A template that is on its way up has its new instances started with the others.
        if error.winerror not in (Error.SERVICE_ALREADY_RUNNING, *_GOING):
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
