"""Ways to break the core, each with the promise that it breaks; see `scripts/mutants`.

A mutation replaces a text that stands exactly once in one file of `src/scmd/core`. When
the code changes and the text does not match any more, mend the mutation with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORE = Path("src/scmd/core")


@dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    old: str
    new: str
    promise: str

    def applied_to(self, text: str) -> str:
        """The file's text, broken; ValueError when the mutation does not fit it exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: its text is {found} times in {self.file}, not once")
        return text.replace(self.old, self.new)


MUTATIONS = (
    # Starting
    Mutation(
        "starts-too-early",
        "starting.py",
        "    if target.is_up:\n        return _Verdict.MET",
        "    if True:\n        return _Verdict.MET",
        "a service starts when its dependencies are up",
    ),
    Mutation(
        "starts-the-disabled",
        "starting.py",
        "    if record.config.start_type == StartType.DISABLED:",
        "    if False:",
        "a disabled service is never started",
    ),
    Mutation(
        "overlooks-failures",
        "starting.py",
        "return _Verdict.MET if one_shots.has_done(target) else _Verdict.FAILED",
        "return _Verdict.MET",
        "a dependency that fails fails its dependents",
    ),
    Mutation(
        "starts-in-shutdown",
        "starting.py",
        "    if state.shutdown is not None:\n        return Error.SHUTDOWN_IN_PROGRESS\n",
        "",
        "nothing is started once the shutdown has begun",
    ),
    # Processes and controls
    Mutation(
        "two-at-a-time",
        "requests.py",
        "while launch.queue and launch.current is None and launch.phase",
        "while launch.queue and launch.phase",
        "a process is asked one thing at a time",
    ),
    Mutation(
        "waits-for-ever",
        "processes.py",
        "    launches.kill(state, launch, cause)\n\n\ndef launch_failed(",
        "\n\ndef launch_failed(",
        "a process that never connects is killed",
    ),
    Mutation(
        "kills-once",
        "launches.py",
        "        state.settings.pipe_timeout,"
        ' lambda: kill(state, launch, cause), "a killed process to exit"',
        '        state.settings.pipe_timeout, lambda: None, "a killed process to exit"',
        "a kill is repeated until the exit is reported",
    ),
    Mutation(
        "forgets-to-forget",
        "processes.py",
        "    state.emit(ForgetLaunch(launch.id))\n",
        "",
        "the keeper is told to forget each exit",
    ),
    Mutation(
        "ignores-accepted-controls",
        "control_table.py",
        "if accepted & ~controls_accepted:",
        "if False:",
        "a service gets the controls that it accepts, no others",
    ),
    Mutation(
        "stops-under-dependents",
        "control_table.py",
        "if dependents and control == Control.STOP and state.index.has_active_dependent(record):",
        "if False:",
        "a service is not stopped while a dependent runs",
    ),
    Mutation(
        "keeps-the-pid",
        "status.py",
        "process_id=0 if stopped else record.status.process_id,",
        "process_id=record.status.process_id,",
        "a service that is STOPPED has no process id",
    ),
    Mutation(
        "breaks-wait-hints",
        "status.py",
        "delay = HANG_AFTER + min(record.status.wait_hint, LONGEST_WAIT_HINT)",
        "delay = HANG_AFTER",
        "a wait hint is waited for",
    ),
    Mutation(
        "logs-floods",
        "status.py",
        "    if count < MOST_CHANGES:\n        return False",
        "    if True:\n        return False",
        "a flood of reports does not fill the event log",
    ),
    Mutation(
        "moves-no-deadline",
        "deadlines.py",
        "if deadline.entry is None or deadline.entry[0] > at:",
        "if deadline.entry is None:",
        "a deadline that is moved earlier comes earlier",
    ),
    # The database and handles
    Mutation(
        "reserves-no-names",
        "database.py",
        "    saves.require_free(state, *keys)\n",
        "",
        "a name that is being saved is taken",
    ),
    Mutation(
        "removes-under-handles",
        "deletion.py",
        "if not record.deleted or record.handles or record.save",
        "if not record.deleted or record.save",
        "a marked record lives until its last handle is closed",
    ),
    Mutation(
        "allows-circles",
        "database.py",
        "if closes_cycle(config, by_key, members):",
        "if False:",
        "circular dependencies are refused",
    ),
    Mutation(
        "forgets-who-waits",
        "saves.py",
        "        state.commands.extend(save.waiting)\n",
        "",
        "every call is answered, one that waits for a save too",
    ),
    Mutation(
        "gives-no-association",
        "handles.py",
        "if handle is None or handle.association != call.association:\n        request =",
        "if handle is None:\n        request =",
        "a handle is good for its own association only",
    ),
    Mutation(
        "leaks-handles",
        "handles.py",
        "    for handle in closed:\n        close_handle(state, handle)\n",
        "",
        "handles end with their association",
    ),
    # Recovery
    Mutation(
        "repeats-the-first-action",
        "recovery.py",
        "actions[min(count, len(actions)) - 1] if actions else None",
        "actions[0] if actions else None",
        "the Nth failure takes the Nth action",
    ),
    Mutation(
        "never-counts-anew",
        "recovery.py",
        "return record.failures if quiet < configured.reset_period_s * 1_000 else 0",
        "return record.failures",
        "the reset period without a failure sets the count to 0",
    ),
    Mutation(
        "restarts-the-unwanted",
        "recovery.py",
        "if record.stop_asked or record.deleted or state.shutdown is not None:",
        "if record.deleted or state.shutdown is not None:",
        "what was asked to stop is never restarted",
    ),
    Mutation(
        "loops-for-ever",
        "recovery.py",
        "if limit and known.window_count > limit:",
        "if False:",
        "a crash loop comes to rest",
    ),
    Mutation(
        "backs-off-never",
        "recovery.py",
        "known.quick = known.quick + 1 if quick else 0",
        "known.quick = 0",
        "restarts after quick failures wait longer and longer",
    ),
    Mutation(
        "acts-after-all",
        "recovery.py",
        "    if record.recovery is not None and record.recovery.restart_waits:\n"
        "        record.recovery.withdraw()\n",
        "    if record.recovery is not None and record.recovery.restart_waits:\n",
        "asking to stop ends the wait for a restart",
    ),
    Mutation(
        "counts-kills",
        "crashes.py",
        "if launch is None or not launch.process_id or record.killed:",
        "if launch is None or not launch.process_id:",
        "what somebody had killed has not failed",
    ),
    # Hosted programs
    Mutation(
        "believes-readiness",
        "hosting.py",
        "if run.watch.plan.ready is not None:",
        "if False:",
        "RUNNING means ready",
    ),
    Mutation(
        "watches-no-watchdog",
        "watches.py",
        "        if self.period:\n            text =",
        "        if False:\n            text =",
        "silence of a watchdog is a failure",
    ),
    # Descriptors and settings
    Mutation(
        "goes-by-the-old-descriptor",
        "object_security.py",
        "        record.config = config\n        record.descriptor = new\n",
        "        record.config = config\n",
        "a changed descriptor counts for whoever opens the service then",
    ),
    Mutation(
        "shows-everybody",
        "handles.py",
        "    except Refused:\n        return False\n    return True",
        "    except Refused:\n        return True\n    return True",
        "a list shows those services whose status may be queried",
    ),
    Mutation(
        "checks-one-setting",
        "commands.py",
        "            control_values.check(name, value)\n",
        "            control_values.check(name, value)\n            break\n",
        "settings are changed all of them or none",
    ),
    # Templates, reloads, schedules, limits
    Mutation(
        "numbers-nobody",
        "instances.py",
        "return value.replace(data=data.replace(NUMBER, number))",
        "return value",
        "an instance's program gets its number",
    ),
    Mutation(
        "runs-with-some",
        "instances.py",
        "    elif all(member.is_up or member in down for member in all_of_them):",
        "    elif any(member.is_up for member in all_of_them):",
        "a template is RUNNING when all its instances are up",
    ),
    Mutation(
        "counts-once",
        "database.py",
        "    instances.recounted(state, record, count)\n",
        "",
        "a template that counts others is what those are",
    ),
    Mutation(
        "prepares-for-ever",
        "database.py",
        "    opened.prepared = None\n",
        "",
        "what was prepared is for one service",
    ),
    Mutation(
        "believes-old-reloads",
        "reloads.py",
        "if monotonic is None or monotonic >= reload.since:",
        "if True:",
        "a reload that had begun before is not the one that was asked for",
    ),
    Mutation(
        "reloads-past-the-end",
        "reloads.py",
        "        state.reply(self.call, Error.REQUEST_ABORTED)\n",
        "",
        "a stop ends a reload, and who waits for it is told",
    ),
    Mutation(
        "starts-what-was-missed",
        "schedules.py",
        "if late > GRACE and not known.missed:",
        "if False:",
        "a scheduled time that has been missed is left out",
    ),
    Mutation(
        "runs-twice",
        "schedules.py",
        "after = known.last if known.missed else max(wall, known.last)",
        "after = wall",
        "a time that has had its run has no second one when the clock is put back",
    ),
    Mutation(
        "shares-nothing",
        "srvany.py",
        "        shares=bounds.shares,\n",
        "",
        "a program is launched with the limits of its Parameters",
    ),
    # Boot
    Mutation(
        "boots-at-once",
        "auto_start.py",
        "while run.batches and not run.outstanding:",
        "while run.batches:",
        "load-order groups come one after the other",
    ),
    Mutation(
        "delays-nothing",
        "auto_start.py",
        "            state.settings.auto_start_delay, lambda",
        "            0, lambda",
        "delayed services wait for their delay",
    ),
    # Death and adoption
    Mutation(
        "journals-late",
        "scm.py",
        "effects.insert(0, WriteJournal(entries))",
        "effects.append(WriteJournal(entries))",
        "what is done has been journaled before",
    ),
    Mutation(
        "journals-too-little",
        "memory.py",
        "        if state.touched or state.touched_launches:\n            return True\n",
        "        if state.touched:\n            return True\n",
        "the journal knows everything that a new manager needs",
    ),
    Mutation(
        "leaves-strangers",
        "adoption.py",
        "        state.emit(KillProcess(held.launch))\n",
        "",
        "what belongs to nothing does not live on",
    ),
    Mutation(
        "asks-nobody",
        "processes.py",
        "    state.emit(SendResync(launch.id))\n    requests.pump(state, launch)\n",
        "    requests.pump(state, launch)\n",
        "what a dead manager had read and not journaled is heard again",
    ),
    Mutation(
        "extends-stops",
        "hosted_adoption.py",
        "state.emit(SignalProcess(run.launch.id, run.plan.stop_signal))\n"
        "            arm(state, run, left,",
        "state.emit(SignalProcess(run.launch.id, run.plan.stop_signal))\n"
        "            arm(state, run, left + 60_000,",
        "a stop keeps its limit when the manager dies",
    ),
    Mutation(
        "forgets-commands",
        "adoption.py",
        "    if launch.kind is LaunchKind.COMMAND:\n"
        "        recovery.repeat_command(state, launch.owner)\n",
        "",
        "a recovery command that was ordered and not begun is begun",
    ),
    # Shutdown
    Mutation(
        "ignores-the-order",
        "shutdown.py",
        "while run.queue and not run.notices:",
        "while run.queue:",
        "PRESHUTDOWN goes in its order",
    ),
    Mutation(
        "tells-twice",
        "shutdown.py",
        "        if record.notice is None:\n            _tell(state, run, record)",
        "        if True:\n            _tell(state, run, record)",
        "who got PRESHUTDOWN does not get SHUTDOWN",
    ),
    Mutation(
        "overspends",
        "shutdown.py",
        'state.settings.kill_timeout, lambda: _spent(state, run), "the shutdown\'s budget"',
        '2 * state.settings.kill_timeout, lambda: _spent(state, run), "the shutdown\'s budget"',
        "the shutdown's budget is kept",
    ),
    Mutation(
        "begins-the-budget-anew",
        "shutdown.py",
        "left = 0 if remembered.due is None else max(0, remembered.due - state.now)\n"
        "    if run.phase is Phase.COMPLETED",
        "left = state.settings.kill_timeout\n    if run.phase is Phase.COMPLETED",
        "a shutdown that is resumed has the budget that is left",
    ),
    Mutation(
        "tells-only-once",
        "shutdown.py",
        "notice.dropped = not notice.answered",
        "notice.dropped = False",
        "who may not have heard of the shutdown is told again",
    ),
    Mutation(
        "outlives-the-essential",
        "essential.py",
        "    return record.status.win32_exit_code != Error.SERVICE_NEVER_STARTED",
        "    return False",
        "the end of an essential service ends the SCM",
    ),
)
