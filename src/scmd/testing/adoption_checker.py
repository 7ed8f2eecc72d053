"""The checkers of what a manager leaves, and of what the next one makes of it."""

from __future__ import annotations

from scmd.core.memory import LaunchMemory, ServiceMemory
from scmd.testing.crashes import key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.testing.checkers import Checkers
    from scmd.testing.simulation import World


def check_adoption(checkers: Checkers) -> None:
    """No process that runs is lost to its service."""
    world = checkers.world
    records = world.scm.state.records
    for launch, run in checkers.runs.items():
        process = world.processes[launch]
        if run.killed or not process.alive:
            continue
        if process.exit is not None and launch in world.scm.state.strays:
            # Its first process's exit was its end; what is left of the tree ends with the launch.
            continue
        services = {run.spec_service} if run.is_program else run.services
        for service in services:
            held = records[service].launch
            name = records[service].config.name
            assert held is not None, f"{name} has lost its process {launch}"
            assert held.id == launch, f"{name} has process {held.id} instead of {launch}"


def check_journal(world: World) -> None:
    """What was journaled is what is true, but for entries about removed records."""
    found, records = world.manager.journal, world.scm.state.records
    true = set()
    for entry in world.scm.state_memory():
        key = key_of(entry)
        true.add(key)
        assert found.get(key) == entry, f"{entry} is true, journaled was {found.get(key)}"
    for key in found.keys() - true:
        over = found[key]
        if isinstance(over, LaunchMemory):
            assert not any(id in records for id in (over.owner, *over.services)), f"is over: {over}"
        else:
            assert isinstance(over, ServiceMemory), f"is over: {over}"
