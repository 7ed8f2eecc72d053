"""Spawning without the keeper around it: what depends on who we are."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Everything is imported before root is given up: afterwards not even the interpreter's
# folder may be readable.
UNPRIVILEGED = """if 1:
    import encodings.idna, os, resource, sys
    from scmd.daemon.keeper_messages import Launch
    from scmd.linux.spawn import Spawner
    from scmd.vocabulary.errors import Refused
    import pwd
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    spawner = Spawner("x", "/run", resource.getrlimit(resource.RLIMIT_NOFILE))
    me = pwd.getpwuid(65534).pw_name
    for account in ("LocalSystem", ".\\\\" + me, "root", "nonsense"):
        argv = ("/bin/sh", "-c", "id -un")
        launch = Launch(number=1, service=1, name="", argv=argv, account=account,
                        control_channel=True, limits=(("CORE", 0),))
        try:
            child = spawner.spawn(launch)
        except Refused as refused:
            print(int(refused.error))
            continue
        os.waitpid(child.pid, 0)
        print(os.read(child.output, 100).decode().strip() == me)
    print(len(os.listdir("/proc/self/fd")))
    failing = Launch(number=1, service=1, name="", argv=("/bin/true",), account="LocalSystem",
                     control_channel=True, nice=-5)
    try:
        spawner.spawn(failing)
    except Refused as refused:
        print(int(refused.error), refused.detail.split(":")[0])
    print(len(os.listdir("/proc/self/fd")))
"""


@pytest.mark.root
@pytest.mark.root
def test_without_root_only_our_own_user_can_be_taken() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, check=True
    )
    *results, before, refusal, after = done.stdout.splitlines()
    assert results == ["True", "True", "1069", "1069"]
    assert refusal == "5 nice"
    assert before == after
