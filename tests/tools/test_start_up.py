"""What `scmd sc query NAME` imports: a command that lives for 20 ms cannot afford much."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.client.world import World

FORBIDDEN = {
    *("argparse", "asyncio", "dataclasses", "inspect", "json", "logging", "msgspec", "pathlib"),
    *("re", "selectors", "signal", "socket", "subprocess", "threading", "traceback", "typing"),
    *("scmd.client.configuration", "scmd.client.management", "scmd.client.scm"),
    *("scmd.svcctl.configuration", "scmd.svcctl.operations", "scmd.vocabulary.error_texts"),
    *("scmd.core", "scmd.server", "scmd.sdk", "scmd.linux", "scmd.tools.commands"),
}
DUMP = (
    "import sys; from scmd.tools.main import main; status = main(sys.argv[1:]); "
    "print(*sys.modules, file=sys.stderr); sys.exit(status)"
)


def imported(world: World, *arguments: str) -> set[str]:
    """The modules of a process that has run this command; site's own are not counted."""
    done = subprocess.run(
        [sys.executable, "-c", DUMP, *arguments],
        env={**os.environ, "SCMD_RUNTIME": str(world.runtime)},
        capture_output=True,
        text=True,
        check=True,
    )
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split()) - set(bare.stdout.split())


def test_a_query_imports_little(web: World) -> None:
    for command in (("query", "Web"), ("queryex", "Web"), ("start", "Web"), ("stop", "Web")):
        assert not imported(web, "sc", *command) & FORBIDDEN


def test_no_command_of_sc_or_net_imports_a_framework(web: World) -> None:
    heavy = FORBIDDEN & {"argparse", "asyncio", "logging", "inspect", "dataclasses", "msgspec"}
    for command in (
        ("sc", "qc", "Web"),
        ("sc", "query", "--json"),
        ("sc", "config", "Web", "start=", "auto"),
        ("net", "start"),
    ):
        assert not imported(web, *command) & heavy


def test_an_output_that_is_full_is_one_line(web: World) -> None:
    command = f"'{sys.executable}' -m scmd.tools.main"
    env = {**os.environ, "SCMD_RUNTIME": str(web.runtime)}
    for words in ("sc query Web", "sc --help", "net start", "get Web --help", "status"):
        line = f"{command} {words} > /dev/full"
        done = subprocess.run(["/bin/sh", "-c", line], env=env, capture_output=True, check=False)
        assert done.returncode == 1
        assert done.stderr == b"scmd: the output cannot be written: No space left on device\n"


def test_closed_and_broken_outputs_are_no_tracebacks(web: World) -> None:
    command = f"'{sys.executable}' -m scmd.tools.main"
    env = {**os.environ, "SCMD_RUNTIME": str(web.runtime)}
    for line in (f"{command} sc query Web >&-", f"{command} sc --help | true"):
        done = subprocess.run(["/bin/sh", "-c", line], env=env, capture_output=True, check=True)
        assert done.stderr == b""
