"""Instances: several services of one definition, and the template that stands for all of them.

`Web` with AppInstances 4 is a template: its Parameters say what each of `Web@1` to `Web@4` runs,
with `%i` for the number. An instance is a service like any other, with its own status, log
and failure actions; what its own Parameters say comes before the template's. The template
has no process. Starting it starts them all, it is RUNNING when all of them are up, and
whoever depends on it waits for that; one that cannot be started makes its start fail (1068), the
others run on. It stays RUNNING as long as one of them does. Stopping it stops them all.
"""

from __future__ import annotations

from scmd.core import recovery, starting, status
from scmd.core.hosted_runs import HostedRun, Stage, show
from scmd.core.messages import SCM_ITSELF, Actor, Parameters
from scmd.core.parameter_readers import read_milliseconds, wrong
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import name_key
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Stop = Callable[[State, ServiceRecord], None]

COUNT = "AppInstances"
MARK = "@"
NUMBER = "%i"
MOST = 1_000
ALL_UP = "all its instances run"
STAGES = (Stage.GATHERING, Stage.GATHERED, Stage.SCATTERING)


def read_count(name: str, value: RegistryValue) -> int:
    number = read_milliseconds(name, value)
    if number > MOST:
        raise wrong(name, f"a number from 0 to {MOST}")
    return number


def count_of(parameters: Parameters) -> int:
    """How many instances a template has; 0: it is none."""
    for name, value in parameters.items():
        if name.upper() == COUNT.upper():
            try:
                return read_count(name, value)
            except Refused:
                return 0
    return 0


def parameters_of(state: State, record: ServiceRecord) -> Parameters:
    """What counts for a hosted service: of an instance, the template's with the number put in."""
    base, mark, number = record.config.name.rpartition(MARK)
    template = state.by_key.get(name_key(base)) if mark and number.isdecimal() else None
    if template is None or not count_of(template.parameters):
        return record.parameters
    own = {name.upper() for name in record.parameters}
    merged: dict[str, RegistryValue] = {}
    for name, value in template.parameters.items():
        if name.upper() not in own and name.upper() != COUNT.upper():
            merged[name] = _numbered(value, number)
    return {**merged, **{name: _numbered(v, number) for name, v in record.parameters.items()}}


def _numbered(value: RegistryValue, number: str) -> RegistryValue:
    data = value.data
    if isinstance(data, str):
        return value.replace(data=data.replace(NUMBER, number))
    if isinstance(data, tuple):
        return value.replace(data=tuple(item.replace(NUMBER, number) for item in data))
    return value


def members(state: State, record: ServiceRecord) -> Iterator[ServiceRecord]:
    """The template's instances that are there, in their order."""
    for number in range(1, count_of(record.parameters) + 1):
        found = state.by_key.get(name_key(f"{record.config.name}{MARK}{number}"))
        if found is not None and not found.deleted:
            yield found


# The template's own run -----------------------------------------------------------------------


def gather(state: State, run: HostedRun) -> None:
    """Start them all; `look` says when they are up."""
    record = run.record
    run.stage = Stage.GATHERING
    show(state, run, ServiceState.START_PENDING, status.LONGEST_WAIT_HINT, "starts its instances")
    actor = Actor(SCM_ITSELF.name, f"instance of {record.config.name}")
    for member in members(state, record):
        if member.attempt is None and member.is_stopped:
            try:
                starting.begin(state, member, None, actor=actor)
            except Refused:
                continue
    state.changed.append(record)


def scatter(state: State, run: HostedRun, stop: Stop) -> None:
    """Stop them all, those included that wait for a restart."""
    record = run.record
    record.stop_asked = True
    run.stage = Stage.SCATTERING
    show(state, run, ServiceState.STOP_PENDING, status.LONGEST_WAIT_HINT, "stops its instances")
    for member in members(state, record):
        if record.actor is not None:
            status.asked(state, member, record.actor)
        recovery.stop_asked(state, member)
        if member.run is not None and member.run is not run:
            stop(state, member)
    state.changed.append(record)


def look(state: State, record: ServiceRecord) -> None:
    """An instance has changed, or its template: what becomes of that one."""
    base, mark, _ = record.config.name.rpartition(MARK)
    template = state.by_key.get(name_key(base)) if mark else record
    run = None if template is None else template.run
    if template is None or run is None or run.stage not in STAGES:
        return
    all_of_them = list(members(state, template))
    down = [m for m in all_of_them if m.is_stopped and m.attempt is None and not m.is_recovering]
    if run.stage is Stage.GATHERING:
        if down:
            _end(state, run, Error.SERVICE_DEPENDENCY_FAIL, f"{down[0].config.name} did not start")
        elif all(member.is_up for member in all_of_them):
            run.stage = Stage.GATHERED
            show(state, run, ServiceState.RUNNING, 0, ALL_UP)
    elif len(down) == len(all_of_them):
        asked = run.stage is Stage.SCATTERING
        cause = "its instances have stopped" if asked else "none of its instances runs any more"
        _end(state, run, Error.SUCCESS, cause)


def _end(state: State, run: HostedRun, error: Error, cause: str) -> None:
    run.record.run = None
    status.stopped(state, run.record, error, cause)
