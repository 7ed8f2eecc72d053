"""What all tests share: skipping what this machine cannot run, and saying so.

A test marked `root` needs root; one marked `peers("nginx")` needs that program of somebody
else's. Elsewhere they skip, and the last line of the run says which and why. Where
SCMD_NO_SKIPS is set (`.ci/run` sets it) any skip fails the run.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is says nothing about the code; some that run this are very busy.
settings.register_profile("scmd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("scmd")

# Programs of daemons are where only root's PATH leads, Wine's without its launcher where none does.
PROGRAM_PATH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/usr/lib/wine"]
)

_skipped = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_skipped] = Counter()
    # A shell starts its background jobs with SIGINT and SIGQUIT ignored, which programs inherit: a
    # command under test would then rightly not end when it is interrupted.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")
    for marker in item.iter_markers("peers"):
        for program in marker.args:
            if shutil.which(program, path=PROGRAM_PATH) is None:
                pytest.skip(f"needs the program {program} (scripts/install-peers, as root)")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    reasons = session.config.stash[_skipped]
    for report in reporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        reasons[str(reason).removeprefix("Skipped: ")] += 1
    if reasons and os.environ.get("SCMD_NO_SKIPS") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    reasons = config.stash[_skipped]
    if reasons:
        why = "; ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        verdict = ", which fails this run" if os.environ.get("SCMD_NO_SKIPS") else ""
        print(f"Skipped {reasons.total()} tests{verdict}: {why}")
