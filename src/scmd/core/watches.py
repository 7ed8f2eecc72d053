"""Watching a hosted program: asking whether it is ready, later whether it is well.

A prober asks one question at a time: it sends a `StartProbe`, or launches a command, waits
for the answer, and asks again after the interval. An answer that does not come in time is a
bad one; one that comes too late is dropped. A watchdog works the other way round: the
program says that it lives, and silence is the bad answer. What good and bad answers lead
to is `hosting`'s, which gives the callbacks.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from scmd.core import launches
from scmd.core.deadlines import Deadline
from scmd.core.health import WATCHDOG, HealthPlan, Probe, Way
from scmd.core.messages.effects import LaunchSpec, StartProbe
from scmd.core.records import Launch, LaunchKind
from scmd.core.state import State

ANSWER_GRACE = 1_000
"""Milliseconds beyond a question's limit after which nobody will answer it any more."""

Heed = Callable[[str], None]
"""Gets each answer: what is wrong, or ""."""


class Prober:
    """Asks until it is stopped."""

    __slots__ = ("_deadline", "_heed", "_hook", "_interval", "_launch", "_limit", "_probe", "asked")

    def __init__(
        self, launch: Launch, probe: Probe, interval: int, limit: int, heed: Heed, first: int
    ) -> None:
        self.asked = first
        """The number of the last question."""
        self._launch = launch
        self._probe = probe
        self._interval = interval
        self._limit = limit
        self._heed: Heed | None = heed
        self._deadline: Deadline | None = None
        self._hook: Launch | None = None

    def ask(self, state: State) -> None:
        """Ask now; not while the machine shuts down, since nothing would follow from it."""
        if self._heed is None or state.shutdown is not None:
            return
        self.asked += 1
        number = self.asked
        if self._probe.way is Way.COMMAND:
            self._run(state, number)
        else:
            state.emit(StartProbe(self._launch.id, number, self._probe, self._limit))
        self._arm(
            state,
            self._limit + ANSWER_GRACE,
            lambda: self.answer(state, number, "no answer in time"),
            "a probe's answer",
        )

    def ask_later(self, state: State) -> None:
        self._arm(state, self._interval, lambda: self.ask(state), "the next probe")

    def answer(self, state: State, number: int, problem: str) -> None:
        """Take the answer to this question, if it is still the one that is asked."""
        if self._heed is None or number != self.asked:
            return
        self._kill_command(state)
        self.asked += 1  # What else is said about this question counts no more.
        self.ask_later(state)
        self._heed(problem)

    def stop(self, state: State) -> None:
        self._heed = None
        self._kill_command(state)
        if self._deadline is not None:
            self._deadline.cancel()

    def _arm(self, state: State, delay: int, action: Callable[[], None], why: str) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = state.after(delay, action, why)

    def _run(self, state: State, number: int) -> None:
        owner, program = self._launch.owner, self._launch.spec
        spec = LaunchSpec(
            service=owner.id,
            name=program.name,
            argv=self._probe.argv,
            account=program.account,
            control_channel=False,
            uid=program.uid,
            groups=program.groups,
            capabilities=program.capabilities,
            directory=program.directory,
            environment=program.environment,
            extra_environment=program.extra_environment,
            hook=True,
        )
        hook = self._hook = launches.begin(state, LaunchKind.HOOK, spec, owner)

        def done(error: int, code: int) -> None:
            self._hook = None
            problem = f"its command ended with {code or f'error {error}'}" if error else ""
            self.answer(state, number, problem)

        hook.done = done

    def _kill_command(self, state: State) -> None:
        hook, self._hook = self._hook, None
        if hook is not None:
            hook.done = None
            launches.kill(state, hook, "its answer is not wanted any more")


class Watch:
    """All that watches one run."""

    __slots__ = (
        "_asked",
        "_deadline",
        "_failures",
        "errno",
        "period",
        "plan",
        "prober",
        "problem",
        "text",
    )

    def __init__(self, plan: HealthPlan) -> None:
        self.plan = plan
        self.prober: Prober | None = None
        self.text = ""
        """The last STATUS it gave."""
        self.problem = ""
        """What was wrong when it was asked last whether it is ready."""
        self.errno = 0
        self.period = plan.watchdog
        """Of its watchdog; 0: it has none."""
        self._deadline: Deadline | None = None
        self._failures = 0
        self._asked = 0
        """Questions have numbers of their own in the whole run."""

    def memory(self) -> tuple[tuple[str, str], ...]:
        """What a new manager has to know: `health.restored` makes the plan of it."""
        if self.period == self.plan.watchdog:
            return self.plan.given
        return tuple({**dict(self.plan.given), WATCHDOG: str(self.period)}.items())

    def begin_readiness(self, state: State, launch: Launch, heed: Heed) -> None:
        """Ask until `heed` has seen a good answer and calls `end`."""
        plan = self.plan
        assert plan.ready is not None

        def note(problem: str) -> None:
            self.problem = problem
            heed(problem)

        if not plan.says_when_ready and plan.ready.way is not Way.LOG:
            limit = max(plan.ready_interval, plan.health_time)
            interval = plan.ready_interval
            self.prober = Prober(launch, plan.ready, interval, limit, note, self._asked)
            self.prober.ask(state)

    def begin_health(self, state: State, launch: Launch, failed: Heed) -> None:
        """Watch a program that runs; `failed` is called once, with the reason."""
        plan = self.plan
        if self.prober is not None or self._deadline is not None:
            return

        def heed(problem: str) -> None:
            self._failures = self._failures + 1 if problem else 0
            if self._failures >= plan.health_failures:
                failed(f"it was not well {self._failures} times: {problem}")

        if plan.health is not None:
            interval = plan.health_interval
            limit = plan.health_time
            self.prober = Prober(launch, plan.health, interval, limit, heed, self._asked)
            self.prober.ask_later(state)
        self.beat(state, failed)

    def beat(self, state: State, failed: Heed, every: int | None = None) -> None:
        """It lives: its watchdog begins anew, from now on with this period if one is given."""
        if every is not None:
            self.period = every
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.period:
            text = f"it was silent for its watchdog's {self.period} ms"
            self._deadline = state.after(self.period, lambda: failed(text), "a watchdog")

    def end(self, state: State) -> None:
        """Nothing is watched any more."""
        prober, self.prober = self.prober, None
        if prober is not None:
            prober.stop(state)
            self._asked = prober.asked
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._failures = 0


def listening(plan: HealthPlan, spec: LaunchSpec, address: str) -> LaunchSpec:
    """The spec with what sd_notify(3) needs in its environment, if it is to be heard.

    And with the line that its output is searched for.
    """
    if plan.ready is not None and plan.ready.way is Way.LOG:
        spec = replace(spec, awaited_line=plan.ready.path)
    if not plan.listens or not address:
        return spec
    more: tuple[tuple[str, str], ...] = (("NOTIFY_SOCKET", address),)
    if plan.watchdog:
        more += (("WATCHDOG_USEC", str(plan.watchdog * 1000)),)
    return replace(spec, extra_environment=(*spec.extra_environment, *more))
