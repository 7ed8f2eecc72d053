"""Explanations: for each state what is said of it, down to who is to blame in the end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from scmd.core.findings import Code, Finding
from scmd.core.messages import (
    AssociationId,
    Call,
    Caller,
    CallId,
    HandleId,
    ServiceId,
    Settings,
    StoredService,
)
from scmd.core.messages.commands import (
    ChangeConfig,
    CloseHandle,
    DeleteService,
    ExplainService,
    OpenScm,
    OpenService,
    StartService,
)
from scmd.core.messages.effects import SendControl
from scmd.core.messages.events import (
    AutoStart,
    ControlAnswered,
    ProcessExited,
    ProcessStarted,
    Shutdown,
    StartAnswered,
)
from scmd.core.why import MAX_SERVICES, Explanation
from scmd.vocabulary.configuration import ServiceConfig
from tests.core.bench import ALL, GUEST, PID, ROOT, Bench

START_PENDING, STOP_PENDING, RUNNING, PAUSE_PENDING, PAUSED = 2, 3, 4, 6, 7


def why(bench: Bench, service: HandleId) -> Explanation:
    answer: Explanation = bench.result(ExplainService(bench.call(), service))
    return answer


def found(answer: Explanation) -> list[tuple[int, str, Code]]:
    return [(finding.depth, finding.service, finding.code) for finding in answer.findings]


def only(answer: Explanation) -> Finding:
    [finding] = answer.findings
    return finding


def test_asking_needs_the_right_to_query_the_status() -> None:
    bench = Bench()
    bench.create("A")
    assert bench.error(ExplainService(bench.call(), bench.open("A", 0x10))) == 5
    assert bench.error(ExplainService(bench.call(), bench.handle)) == 6


# Not running ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start_type", "delayed", "began", "expected"),
    [
        (3, False, True, [Code.NEVER_STARTED]),
        (4, False, True, [Code.DISABLED, Code.NEVER_STARTED]),
        (2, False, False, [Code.NEVER_STARTED, Code.WAITS_FOR_AUTO_START]),
        (2, True, True, [Code.NEVER_STARTED, Code.WAITS_FOR_AUTO_START]),
    ],
)
def test_a_service_that_was_never_started(
    start_type: int, delayed: bool, began: bool, expected: list[Code]
) -> None:
    config = ServiceConfig(
        name="A",
        display_name="A",
        image_path="/bin/a",
        start_type=start_type,
        delayed_auto_start=delayed,
    )
    bench = Bench([StoredService(ServiceId(1), config, {})])
    if began:
        bench.tell(AutoStart())
    bench.pass_time(20_000)
    answer = why(bench, bench.open("A"))
    assert [finding.code for finding in answer.findings] == expected
    assert (answer.state, answer.lasted, answer.cause, answer.actor) == ("STOPPED", None, "", "")
    left = [finding.left for finding in answer.findings if finding.left is not None]
    assert left == ([100_000] if delayed else [])


def test_an_automatic_start_waits_for_the_groups_before() -> None:
    def stored(id: int, name: str, group: str) -> StoredService:
        config = ServiceConfig(
            name=name,
            display_name=name,
            image_path=f"/bin/{name}",
            start_type=2,
            load_order_group=group,
        )
        return StoredService(ServiceId(id), config, {})

    bench = Bench([stored(1, "A", "First"), stored(2, "B", "")], Settings(group_order=("First",)))
    bench.tell(AutoStart())
    answer = why(bench, bench.open("B"))
    assert answer.findings[-1].code == Code.WAITS_FOR_AUTO_START
    assert "A among them" in answer.findings[-1].text
    assert why(bench, bench.open("A")).origin == "automatic start"


def test_a_service_that_was_stopped_says_who_asked() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    bench.pass_time(5_000)
    bench.control(handle, 1)
    bench.answer_control()
    bench.report(launch, handle, 1, 0)
    bench.pass_time(700)
    answer = why(bench, handle)
    assert (answer.actor, answer.origin, answer.lasted) == ("somebody", "a test", 700)
    assert only(answer).code == Code.STOPPED


def test_a_service_that_stopped_by_itself_says_so() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    bench.report(launch, handle, 1, 0, win32_exit_code=1066, service_specific_exit_code=42)
    answer = why(bench, handle)
    assert answer.actor == "service"
    assert only(answer).error == 1066
    assert "its own error 42" in only(answer).text


def test_a_process_that_was_lost_is_the_scms_word() -> None:
    bench = Bench()
    handle = bench.create()
    bench.tell(ProcessExited(bench.running(handle), None, 11))
    answer = why(bench, handle)
    assert (answer.actor, answer.process_id) == ("SCM", 0)
    assert found(answer) == [(0, "A", Code.STOPPED_WITH_ERROR), (0, "A", Code.FAILED_BEFORE)]
    assert "its process was killed by signal 11" in answer.findings[0].text
    assert answer.findings[1].text == "has failed once"


def test_the_blame_is_followed_down_to_the_root_cause() -> None:
    bench = Bench()
    db = bench.create("Db", start_type=4)
    bench.create("Cache", dependencies=("Db",))
    web = bench.create("Web", dependencies=("Cache",))
    bench.start(web)
    answer = why(bench, web)
    assert found(answer) == [
        (0, "Web", Code.STOPPED_WITH_ERROR),
        (0, "Web", Code.DEPENDENCY_DOWN),
        (1, "Cache", Code.STOPPED_WITH_ERROR),
        (1, "Cache", Code.DEPENDENCY_DOWN),
        (2, "Db", Code.DISABLED),
        (2, "Db", Code.NEVER_STARTED),
    ]
    assert answer.findings[0].text.endswith("its dependency Cache did not start")
    assert bench.status(db).win32_exit_code == 1077


def test_a_second_failure_with_the_same_error_gives_its_own_reason() -> None:
    bench = Bench()
    bench.create("X", start_type=4)
    bench.create("Y", start_type=4)
    web = bench.create("Web", dependencies=("X",))
    bench.start(web)
    bench.result(ChangeConfig(bench.call(), web, dependencies=("Y",)))
    bench.start(web)
    answer = why(bench, web)
    assert answer.cause == "its dependency Y did not start"
    assert bench.scm.state.by_key["WEB"].actor is None


def test_a_missing_dependency_is_named() -> None:
    bench = Bench()
    web = bench.create("Web", dependencies=("Nowhere",))
    bench.tell(StartService(bench.call(), web))
    codes = [finding.code for finding in why(bench, web).findings]
    assert codes == [Code.NEVER_STARTED, Code.DEPENDENCY_MISSING]
    db = bench.create("Nowhere", start_type=4)
    bench.start(web)
    bench.result(DeleteService(bench.call(), db))
    bench.result(CloseHandle(bench.call(), db))
    last = why(bench, web).findings[-1]
    assert (last.code, last.other) == (Code.DEPENDENCY_MISSING, "Nowhere")


def test_a_long_chain_of_blame_is_cut() -> None:
    bench = Bench()
    names = [f"S{number}" for number in range(MAX_SERVICES + 20)]
    bench.create(names[0], start_type=4)
    for before, name in pairwise(names):
        bench.create(name, dependencies=(before,))
    last = bench.open(names[-1])
    bench.start(last)
    answer = why(bench, last)
    assert len({finding.service for finding in answer.findings}) == MAX_SERVICES


# Not starting ---------------------------------------------------------------------------------


def test_a_start_waits_for_a_dependency_and_that_for_its_process() -> None:
    bench = Bench()
    bench.create("Db")
    web = bench.create("Web", dependencies=("Db",))
    bench.start(web)
    launch = bench.launched()
    assert found(why(bench, web)) == [
        (0, "Web", Code.WAITS_FOR_SERVICE),
        (1, "Db", Code.WAITS_FOR_PROCESS),
    ]
    bench.tell(ProcessStarted(launch, PID))
    bench.pass_time(12_000)
    answer = why(bench, web)
    assert answer.lasted == 12_000
    waits = answer.findings[-1]
    assert (waits.code, waits.left) == (Code.WAITS_FOR_CONNECTION, 18_000)
    assert f"process {PID} to call StartServiceCtrlDispatcher" in waits.text
    assert why(bench, bench.open("Db")).origin == "needed by Web"


def test_a_start_waits_for_a_group() -> None:
    bench = Bench()
    bench.create("Db", load_order_group="Base")
    web = bench.create("Web", dependencies=("+Base",))
    bench.start(web)
    finding = only(why(bench, web))
    assert (finding.code, finding.other) == (Code.WAITS_FOR_GROUP, "Base")


def test_a_start_waits_for_its_answer_and_for_its_turn() -> None:
    bench = Bench()
    a = bench.create("A", type=0x20, image_path="/bin/shared")
    b = bench.create("B", type=0x20, image_path="/bin/shared")
    bench.start(a)
    bench.connect(bench.launched())
    bench.start(b)
    assert only(why(bench, a)).code == Code.WAITS_FOR_ANSWER
    turn = only(why(bench, b))
    assert (turn.code, turn.other) == (Code.WAITS_FOR_ITS_TURN, "A")


def test_a_service_that_starts_is_late_and_then_hangs() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle, START_PENDING, 0)
    bench.report(launch, handle, START_PENDING, 0, check_point=3, wait_hint=10_000)
    waits = only(why(bench, handle))
    assert waits.code == Code.WAITS_FOR_REPORT
    assert "check point 3, wait hint 10.0 s" in waits.text
    bench.pass_time(11_000)
    answer = why(bench, handle)
    assert (only(answer).code, answer.overdue) == (Code.OVERDUE, 1_000)
    assert only(answer).left == 79_000
    assert bench.scm.counts()["overdue"] == 1
    bench.pass_time(80_000)
    assert only(why(bench, handle)).code == Code.HUNG
    bench.report(launch, handle, START_PENDING, 0, check_point=4, wait_hint=10_000)
    assert only(why(bench, handle)).code == Code.WAITS_FOR_REPORT


def test_saying_the_same_again_is_no_progress() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle, START_PENDING, 0)
    for _ in range(90):
        bench.report(launch, handle, START_PENDING, 0, check_point=3, wait_hint=1_000)
        bench.pass_time(1_000)
    assert only(why(bench, handle)).code == Code.HUNG


@pytest.mark.parametrize(
    ("values", "pid", "code"),
    [
        ({"AppEvents/Start/Pre": "/bin/hook"}, False, Code.WAITS_FOR_HOOK),
        ({}, False, Code.WAITS_FOR_PROCESS),
        ({"AppSettleTime": 5_000}, True, Code.SETTLES),
        ({"AppReady": "tcp:80"}, True, Code.WAITS_FOR_READINESS),
    ],
)
def test_a_hosted_program_starts(values: dict[str, Any], pid: bool, code: Code) -> None:
    bench = Bench()
    handle = bench.create_hosted(**values)
    bench.start(handle)
    if pid:
        bench.tell(ProcessStarted(bench.launched(), PID))
    finding = only(why(bench, handle))
    assert finding.code == code
    assert finding.left


# Not stopping ---------------------------------------------------------------------------------


def test_a_stop_that_is_not_answered() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    bench.control(handle, 1)
    control = bench.one(SendControl)
    bench.report(launch, handle, STOP_PENDING, 0, check_point=1, wait_hint=3_000)
    bench.pass_time(4_000)
    answer = why(bench, handle)
    assert (answer.state, answer.actor, answer.lasted) == ("STOP_PENDING", "somebody", 4_000)
    assert [f.code for f in answer.findings] == [Code.OVERDUE, Code.WAITS_FOR_ANSWER]
    assert answer.findings[1].left == 26_000
    bench.tell(ControlAnswered(launch, control.control, 0))
    assert [f.code for f in why(bench, handle).findings] == [Code.OVERDUE]


def test_a_stop_that_is_taken_and_not_acted_upon() -> None:
    bench = Bench()
    handle = bench.create()
    bench.running(handle)
    bench.control(handle, 1)
    control = bench.one(SendControl)
    codes = [finding.code for finding in why(bench, handle).findings]
    assert codes == [Code.STOP_IGNORED, Code.WAITS_FOR_ANSWER]
    bench.tell(ControlAnswered(control.launch, control.control, 0))
    assert only(why(bench, handle)).code == Code.STOP_IGNORED


def test_a_program_that_does_not_stop_is_killed_in_the_end() -> None:
    bench = Bench()
    handle = bench.create_hosted(AppStopTime=8_000, **{"AppEvents/Stop/Pre": "/bin/hook"})
    bench.start(handle)
    bench.tell(ProcessStarted(bench.launched(), PID))
    bench.control(handle, 1)
    assert only(why(bench, handle)).code == Code.WAITS_FOR_HOOK
    bench.pass_time(30_000)
    stopping = only(why(bench, handle))
    assert (stopping.code, stopping.left) == (Code.STOPPING, 8_000)
    bench.pass_time(8_000)
    killed = only(why(bench, handle))
    assert killed.code == Code.BEING_KILLED
    assert "did not stop in 8000 ms" in killed.text


def test_what_would_keep_a_running_service_from_stopping() -> None:
    bench = Bench()
    db = bench.create("Db")
    bench.running(db, RUNNING, 0)
    web = bench.create("Web", dependencies=("Db",))
    bench.running(web)
    answer = why(bench, db)
    assert found(answer) == [(0, "Db", Code.TAKES_NO_STOP), (0, "Db", Code.DEPENDENT_ACTIVE)]
    assert [finding.error for finding in answer.findings] == [1052, 1051]
    assert why(bench, web).findings == ()


def test_a_pause_that_takes_its_time() -> None:
    bench = Bench()
    handle = bench.create()
    bench.report(bench.running(handle), handle, PAUSE_PENDING, 0)
    assert only(why(bench, handle)).code == Code.WAITS_FOR_REPORT


def test_a_shutdown_is_the_actor_and_the_obstacle() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    bench.tell(Shutdown())
    bench.report(launch, handle, 1, 0)
    answer = why(bench, handle)
    assert (answer.actor, answer.origin) == ("SCM", "shutdown")
    assert answer.findings[-1].code == Code.SHUTTING_DOWN


# Whatever the state ---------------------------------------------------------------------------


def test_a_marked_service_names_who_holds_it() -> None:
    bench = Bench()
    handle = bench.create()
    bench.running(handle)
    other = Call(CallId(900), AssociationId(1), Caller(ROOT, "alice", "10.0.0.7:49152"))
    for number in (900, 901):
        call = Call(CallId(number), other.association, other.caller)
        bench.result(OpenService(call, bench.handle, "A", ALL))
    bench.result(DeleteService(bench.call(), handle))
    answer = why(bench, handle)
    assert answer.marked_for_delete
    [holder] = answer.holders
    assert (holder.name, holder.origin, holder.handles) == ("alice", "10.0.0.7:49152", 2)
    first = answer.findings[0]
    assert (first.code, first.error) == (Code.MARKED_FOR_DELETE, 1072)
    assert "until it has stopped (it is RUNNING) and until 2 open handles are closed" in first.text


def test_reports_against_the_rules_are_told_with_the_rule() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    bench.report(launch, handle, STOP_PENDING, 0)
    bench.report(launch, handle, PAUSED)
    bench.report(launch, handle, 99)
    texts = [f.text for f in why(bench, handle).findings if f.code == Code.ODD_REPORT]
    assert len(texts) == 2
    assert "PAUSED was reported after STOP_PENDING; after STOP_PENDING comes STOPPED" in texts[0]
    assert "state 99 is not one of 1 to 7" in texts[1]
    bench.report(launch, handle, 1, 0)
    assert sum(f.code == Code.ODD_REPORT for f in why(bench, handle).findings) == 2
    bench.start(handle)
    assert Code.ODD_REPORT not in [f.code for f in why(bench, handle).findings]


def test_a_flood_of_reports_is_told() -> None:
    bench = Bench()
    handle = bench.create()
    launch = bench.running(handle)
    for _ in range(100):
        for state in (PAUSED, 4):
            bench.report(launch, handle, state)
    [text] = [f.text for f in why(bench, handle).findings if f.code == Code.ODD_REPORT]
    assert "changed its state more than 100 times within a minute" in text


def test_a_late_answer_to_a_start_leaves_an_explanation() -> None:
    """Nobody waits for it any more, but the process lives on for the other service."""
    bench = Bench()
    a = bench.create("A", type=0x20, image_path="/bin/shared")
    b = bench.create("B", type=0x20, image_path="/bin/shared")
    launch = bench.running(a)
    bench.start(b)
    bench.pass_time(30_000)
    assert [f.code for f in why(bench, b).findings] == [Code.HUNG, Code.WAITS_FOR_ANSWER]
    bench.tell(StartAnswered(launch, bench.id(b), 0))
    assert only(why(bench, b)).code == Code.HUNG


def test_a_guest_who_may_query_may_ask() -> None:
    bench = Bench()
    bench.create("A")
    scm = bench.result(OpenScm(bench.call(GUEST), None, 1))
    handle = bench.result(OpenService(bench.call(GUEST), scm, "A", 4))
    assert bench.result(ExplainService(bench.call(GUEST), handle)).state == "STOPPED"
