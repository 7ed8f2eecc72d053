"""Random short sequences of calls: refused means unchanged, each call is answered once."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from scmd.core.messages import HandleId
from scmd.core.messages.commands import (
    ChangeConfig,
    CloseHandle,
    Command,
    ControlService,
    CreateService,
    DeleteService,
    OpenService,
    SetParameters,
    StartService,
)
from scmd.core.messages.effects import Audited, Reply, SaveRecord
from scmd.core.messages.events import RecordSaved, SaveFailed
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.registry import RegistryValue
from tests.core.bench import ALL, Bench

NAMES = st.sampled_from(("A", "a", "B", "C", "bad/name", ""))
DEPENDENCIES = st.lists(st.sampled_from(("A", "B", "C", "+G")), max_size=2).map(tuple)


def picture(bench: Bench) -> Any:
    """All that a refused command must not have changed."""
    state = bench.scm.state
    return copy.deepcopy(
        (
            [
                (r.id, r.config, dict(r.parameters), r.deleted, r.status, r.handles)
                for r in state.records.values()
            ],
            sorted(state.by_key),
            sorted(state.by_display),
            sorted(state.handles),
            sorted(state.saves),
            sorted(state.reserved),
            sorted(state.launches),
            [deadline.why for deadline in state.deadlines.armed()],
        )
    )


class Machine(RuleBasedStateMachine):
    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.bench.saving = False
        self.asked = 1

    def ask(self, command: Command) -> Any:
        before = picture(self.bench)
        self.asked += 1
        self.bench.tell(command)
        reply = self.bench.replies.get(command.call.id)
        if reply is not None and reply.error and reply.error not in (2, 1068):
            assert picture(self.bench) == before
            assert {type(effect) for effect in self.bench.effects} <= {Reply, Audited}
        return None if reply is None or reply.error else reply.result

    @rule(
        target=handles,
        name=NAMES,
        display=st.sampled_from(("", "A", "Shown")),
        group=st.sampled_from(("", "G")),
        dependencies=DEPENDENCIES,
        start=st.sampled_from((2, 3, 4, 7)),
    )
    def create(
        self, name: str, display: str, group: str, dependencies: tuple[str, ...], start: int
    ) -> Any:
        config = ServiceConfig(
            name=name,
            display_name=display,
            image_path="/bin/x",
            load_order_group=group,
            dependencies=dependencies,
            start_type=start,
        )
        command = CreateService(self.bench.call(), self.bench.handle, config, ALL)
        self.ask(command)
        self.settle(False)
        reply = self.bench.replies[command.call.id]
        return multiple() if reply.error else reply.result[0]  # type: ignore[index] # handle and tag

    @rule(target=handles, name=NAMES)
    def open(self, name: str) -> Any:
        result = self.ask(OpenService(self.bench.call(), self.bench.handle, name, ALL))
        return multiple() if result is None else result

    @rule(handle=handles)
    def close(self, handle: HandleId) -> None:
        self.ask(CloseHandle(self.bench.call(), handle))

    @rule(handle=handles)
    def delete(self, handle: HandleId) -> None:
        self.ask(DeleteService(self.bench.call(), handle))

    @rule(handle=handles, dependencies=DEPENDENCIES, display=st.sampled_from(("", "B", "Shown")))
    def change(self, handle: HandleId, dependencies: tuple[str, ...], display: str) -> None:
        call = self.bench.call()
        self.ask(ChangeConfig(call, handle, dependencies=dependencies, display_name=display))

    @rule(handle=handles, number=st.integers(0, 2))
    def set_parameters(self, handle: HandleId, number: int) -> None:
        self.ask(SetParameters(self.bench.call(), handle, {"X": RegistryValue.of(number)}))

    @rule(handle=handles)
    def start(self, handle: HandleId) -> None:
        self.ask(StartService(self.bench.call(), handle))

    @rule(handle=handles, control=st.sampled_from((0, 1, 2, 4, 128)))
    def control(self, handle: HandleId, control: int) -> None:
        self.ask(ControlService(self.bench.call(), handle, control))

    @rule(fails=st.booleans())
    def settle(self, fails: bool) -> None:
        """The disk answers everything that waits for it."""
        bench = self.bench
        while bench.pending_saves:
            save = bench.pending_saves.pop(0)
            bench.tell(SaveFailed(save.save, Error.DISK_FULL) if fails else RecordSaved(save.save))

    @rule(delay=st.sampled_from((10, 31_000, 90_000)))
    def pass_time(self, delay: int) -> None:
        self.bench.pass_time(delay)

    @invariant()
    def names_agree(self) -> None:
        state = self.bench.scm.state
        assert sorted(state.by_key) == sorted(r.key for r in state.records.values())
        assert len(state.by_display) == len(state.records)
        assert list(state.records) == sorted(state.records)
        owned = {id for group in state.associations.values() for id in group}
        assert owned == set(state.handles)

    def teardown(self) -> None:
        """Everything asked is answered, once saves and time have passed."""
        self.settle(False)
        self.bench.pass_time(600_000)
        self.settle(False)
        assert len(self.bench.replies) == self.asked
        assert not self.bench.found(SaveRecord)


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestMachine = Machine.TestCase
