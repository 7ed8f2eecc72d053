"""The checkers of a calm world: what is agreed on after a while, and what is left at last."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.checkers import Checkers


def is_waiting(checkers: Checkers) -> bool:
    """Whether a well-behaved process still owes an answer: a restart was due just now."""
    return any(
        process.alive and process.behaves and run.unanswered is not None
        for launch, run in checkers.runs.items()
        if (process := checkers.world.processes.get(launch)) is not None
    )


def check_agreement(checkers: Checkers) -> None:
    """After a while of calm the SCM knows what well-behaved processes believe."""
    checkers.boot.at_rest()
    for launch, process in checkers.world.processes.items():
        if not process.alive or not process.behaves or launch not in checkers.runs:
            continue
        for service in checkers.runs[launch].services:
            believed = process.running.get(service)
            known = checkers.statuses[service].state
            assert believed == known, f"service {service} is in state {believed}, not {known}"


def check_rest(checkers: Checkers) -> None:
    """Nothing waits, nothing runs, and memory agrees with the disk."""
    state = checkers.world.scm.state
    assert checkers.world.completed, "the shutdown was never completed"
    assert not checkers.calls, f"never answered: {list(checkers.calls.values())}"
    assert not checkers.runs, "processes are left"
    assert not state.launches
    assert not state.saves
    assert not state.handles
    waiting = [deadline.why for deadline in state.deadlines.armed()]
    assert not waiting, f"deadlines are left: {waiting}"
    assert not state.shared
    for record in state.records.values():
        stored = checkers.world.disk[record.id]
        assert record.config == stored.config
        assert record.deleted == stored.deleted
        assert dict(record.parameters) == dict(stored.parameters)
        assert record.is_stopped or record.is_built_in
        if record.deleted:
            assert record.id in checkers.failed_removals, "a marked record was not removed"
        assert record.attempt is None
        assert record.launch is None
        assert record.run is None
    assert set(state.records) == set(checkers.world.disk)
