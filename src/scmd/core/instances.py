"""Instances: several services of one definition, and the template that stands for all of them.

`Web` with AppInstances 4 is a template: its Parameters say what each of `Web@1` to `Web@4` runs,
with `%i` for the number. An instance is a service like any other, with its own status, log
and failure actions; what its own Parameters say comes before the template's, and its ImagePath may
name a program that speaks the control protocol. The template has no process. Starting it starts
them all, and one that comes meanwhile; it is RUNNING when all of them are up, and whoever depends
on it waits for that; one that cannot be started makes its start fail (1068), the others run on. It
stays RUNNING as long as one of them does. Stopping it stops them all, those too that are still on
their way up. When all are one-shot programs that have done their work, it has done its own.
"""

from __future__ import annotations

from scmd.core import attempts, hosting, launches, one_shots, recovery, requests, starting, status
from scmd.core.control_table import check
from scmd.core.hosted_runs import HostedRun, Stage, show
from scmd.core.messages import SCM_ITSELF, Actor, Parameters
from scmd.core.parameter_readers import read_milliseconds, read_or, wrong
from scmd.core.records import AttemptPhase, Launch, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import INSTANCE_MARK, name_key, template_and_number
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import Control, ControlsAccepted, ServiceState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = "AppInstances"
NUMBER = "%i"
MOST = 1_000
ALL_UP = "all its instances run"
ALL_DONE = "the work of all its instances is done"
STOPS = "its template was asked to stop"
STAGES = (Stage.GATHERING, Stage.GATHERED, Stage.SCATTERING)


def read_count(name: str, value: RegistryValue) -> int:
    number = read_milliseconds(name, value)
    if number > MOST:
        raise wrong(name, f"a number from 0 to {MOST}")
    return number


def count_of(parameters: Parameters) -> int:
    """How many instances a template has; 0: it is none."""
    return read_or(0, parameters, COUNT, read_count)


def template_of(state: State, record: ServiceRecord) -> ServiceRecord | None:
    """The template whose instance this is by its name; None for other services."""
    names = template_and_number(record.config.name)
    template = None if names is None else state.by_key.get(name_key(names[0]))
    return template if template is not None and count_of(template.parameters) else None


def parameters_of(state: State, record: ServiceRecord) -> Parameters:
    """What counts for a service: of an instance, the template's with the number put in."""
    template = template_of(state, record)
    if template is None:
        return record.parameters
    number = record.config.name.rpartition(INSTANCE_MARK)[2]
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


def members(state: State, record: ServiceRecord, above: int = 0) -> Iterator[ServiceRecord]:
    """The template's instances that are there, in their order: those above a number."""
    for number in range(above + 1, count_of(record.parameters) + 1):
        found = state.by_key.get(name_key(f"{record.config.name}{INSTANCE_MARK}{number}"))
        if found is not None and not found.deleted:
            yield found


def is_scattered(state: State, record: ServiceRecord) -> bool:
    """Whether its template is being stopped with all its instances: none is brought back then."""
    template = template_of(state, record)
    run = None if template is None else template.run
    return (
        run is not None and run.stage is Stage.SCATTERING and record in members(state, run.record)
    )


def needs_itself(state: State, record: ServiceRecord) -> bool:
    """Whether an instance of the template would wait for the template, at any remove."""
    seen = {record.id}
    todo = [record]
    while todo:
        for needer in state.index.direct_dependents(todo.pop()):
            for waiting in (needer, template_of(state, needer)):
                if waiting is record:
                    return True
                if waiting is not None and waiting.id not in seen:
                    seen.add(waiting.id)
                    todo.append(waiting)
    return False


# The template's own run -----------------------------------------------------------------------


def gather(state: State, run: HostedRun) -> None:
    """Start them all; `look` says when they are up."""
    record = run.record
    run.stage = Stage.GATHERING
    show(state, run, ServiceState.START_PENDING, status.LONGEST_WAIT_HINT, "starts its instances")
    _start_members(state, record)
    state.changed.append(record)


def _start_members(state: State, record: ServiceRecord, above: int = 0) -> None:
    for member in members(state, record, above):
        if member.attempt is None and member.is_stopped:
            _start(state, record, member)


def _start(state: State, record: ServiceRecord, member: ServiceRecord) -> None:
    actor = Actor(SCM_ITSELF.name, f"instance of {record.config.name}")
    try:
        starting.begin(state, member, None, actor=actor)
    except Refused:
        member.completed = False
        state.touched[member.id] = member


def scatter(state: State, run: HostedRun, kill: str = "") -> None:
    """Stop them all, those included that wait for a restart; or kill them, for this cause."""
    record = run.record
    record.stop_asked = True
    run.stage = Stage.SCATTERING
    show(state, run, ServiceState.STOP_PENDING, status.LONGEST_WAIT_HINT, "stops its instances")
    stop_members(state, record, kill=kill)
    state.changed.append(record)


def stop_members(state: State, record: ServiceRecord, above: int = 0, kill: str = "") -> None:
    """What is asked already is asked again: an earlier manager's question may be lost."""
    for member in members(state, record, above):
        if record.actor is not None:
            status.asked(state, member, record.actor)
        recovery.stop_asked(state, member)
        _stop_member(state, member, kill, again=True)


def _stop_member(
    state: State, member: ServiceRecord, kill: str = "", *, again: bool = False
) -> None:
    """Stop it; one that has not got to its program does not begin it."""
    attempt, run, launch = member.attempt, member.run, member.launch
    if attempt is not None and (run is None or run.stage is Stage.PRE_HOOK):
        attempt.restart = False
    if attempt is not None and attempt.phase is AttemptPhase.WAITING:
        member.stop_asked = True
        attempts.fail(state, attempt, Error.REQUEST_ABORTED, STOPS)
    elif run is not None and attempt is not None and run.stage is Stage.PRE_HOOK:
        member.stop_asked = True
        hosting.abort(state, member, Error.REQUEST_ABORTED, STOPS)
    elif run is not None:
        if kill:
            hosting.kill(state, member, kill)
        else:
            hosting.stop(state, member)
    elif launch is not None:
        _stop_program(state, member, launch, kill, again=again)


def _stop_program(
    state: State, member: ServiceRecord, launch: Launch, kill: str, *, again: bool
) -> None:
    """Stop one that speaks the control protocol, once it accepts that."""
    known = member.status
    if kill:
        member.killed = member.stop_asked = True
        requests.kill(state, launch, Error.REQUEST_ABORTED, kill)
    elif not launches.is_live(launch):
        # Its process is about to end, and nobody is to bring it back.
        member.stop_asked = True
        state.touched[member.id] = member
    elif (again or not member.stop_asked) and not check(
        known.state, known.controls_accepted, Control.STOP, ControlsAccepted.STOP
    ):
        requests.send_control(state, member, Control.STOP, None)


def recounted(state: State, record: ServiceRecord, before: int) -> None:
    """Its AppInstances were `before`: what is under way counts for those that have come."""
    run = record.run
    if run is None or not run.is_template:
        return
    if run.stage is Stage.GATHERING:
        _start_members(state, record, before)
    elif run.stage is Stage.SCATTERING:
        stop_members(state, record, before)
    state.changed.append(record)


def created(state: State, record: ServiceRecord) -> None:
    """A service has come: with its template on its way up, an instance is started too."""
    template = template_of(state, record)
    run = None if template is None else template.run
    if run is not None and run.stage is Stage.GATHERING and record in members(state, run.record):
        _start(state, run.record, record)
        state.changed.append(record)


def look(state: State, record: ServiceRecord) -> None:
    """An instance has changed, or its template: what becomes of that one."""
    names = template_and_number(record.config.name)
    for template in (record, None if names is None else state.by_key.get(name_key(names[0]))):
        run = None if template is None else template.run
        if run is not None and run.stage in STAGES:
            _look_at(state, run, record)


def _look_at(state: State, run: HostedRun, record: ServiceRecord) -> None:
    all_of_them = list(members(state, run.record))
    down = [m for m in all_of_them if m.is_stopped and m.attempt is None and not m.is_recovering]
    _look_for_hanging(state, run, all_of_them)
    if run.stage is Stage.GATHERING:
        _look_for_all(state, run, all_of_them, down)
        return
    if run.stage is Stage.SCATTERING and record in all_of_them:
        # It may have been on its way up when all were asked to stop.
        _stop_member(state, record)
    if len(down) == len(all_of_them):
        asked = run.stage is Stage.SCATTERING
        cause = "its instances have stopped" if asked else "none of its instances runs any more"
        _end(state, run, Error.SUCCESS, cause)


def _look_for_hanging(state: State, run: HostedRun, all_of_them: list[ServiceRecord]) -> None:
    """On its way up or down it hangs as long as one of them does."""
    template = run.record
    hangs = run.takes_its_time and any(member.hung for member in all_of_them)
    if hangs and not template.hung:
        status.hangs(state, template)
    elif template.hung and not hangs:
        status.goes_on(state, template)


def _look_for_all(
    state: State, run: HostedRun, all_of_them: list[ServiceRecord], down: list[ServiceRecord]
) -> None:
    failed = [member for member in down if not one_shots.has_done(member)]
    if not all_of_them:
        _end(state, run, Error.SERVICE_DEPENDENCY_DELETED, "none of its instances is left")
    elif failed:
        _end(state, run, Error.SERVICE_DEPENDENCY_FAIL, f"{failed[0].config.name} did not start")
    elif len(down) == len(all_of_them):
        run.record.completed = True
        _end(state, run, Error.SUCCESS, ALL_DONE)
    elif all(member.is_up or member in down for member in all_of_them):
        run.stage = Stage.GATHERED
        show(state, run, ServiceState.RUNNING, 0, ALL_UP)


def _end(state: State, run: HostedRun, error: Error, cause: str) -> None:
    run.record.run = None
    status.stopped(state, run.record, error, cause)
