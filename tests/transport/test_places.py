"""Where the directories are, for whom, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scmd.transport import places


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SCMD_STATE", "SCMD_RUNTIME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def test_root_has_fixed_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 0)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    assert places.state_directory() == "/var/lib/scmd"
    assert places.runtime_directory() == "/run/scmd"


def test_a_user_has_xdg_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 4711)
    monkeypatch.setenv("HOME", "/home/ann")
    assert places.state_directory() == "/home/ann/.local/state/scmd"
    monkeypatch.setenv("XDG_STATE_HOME", "/data/state")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/4711")
    assert places.state_directory() == "/data/state/scmd"
    assert places.runtime_directory() == "/run/user/4711/scmd"


def test_relative_xdg_directories_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 4711)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
    assert places.state_directory() == "/home/ann/.local/state/scmd"
    assert places.runtime_directory() == "/tmp/scmd-4711"


@pytest.mark.parametrize("uid", [0, 4711])
def test_the_option_wins_over_the_environment_and_that_over_the_rest(
    monkeypatch: pytest.MonkeyPatch, uid: int
) -> None:
    as_user(monkeypatch, uid)
    monkeypatch.setenv("SCMD_STATE", "/env/state")
    monkeypatch.setenv("SCMD_RUNTIME", "/env/run")
    assert places.state_directory() == "/env/state"
    assert places.runtime_directory() == "/env/run"
    assert places.state_directory("/told/state") == "/told/state"
    assert places.runtime_directory("told") == os.path.abspath("told")


def test_a_private_directory_of_somebody_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uid = os.geteuid()
    (tmp_path / "mine").mkdir(mode=0o700)
    places._check_private(str(tmp_path / "mine"), uid)
    places._check_private(str(tmp_path / "absent"), uid)
    with pytest.raises(places.PlaceError, match="not a private directory"):
        places._check_private(str(tmp_path / "mine"), uid + 1)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o750)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").touch(mode=0o600)
    for name in ("open", "link", "file"):
        with pytest.raises(places.PlaceError, match="not a private directory"):
            places._check_private(str(tmp_path / name), uid)


def test_the_socket_path_may_have_107_bytes() -> None:
    longest = "/" + "r" * (107 - len("/scm.sock") - 1)
    assert len(places.socket_path(longest)) == 107
    with pytest.raises(places.PlaceError, match="has 108 bytes; Linux allows 107"):
        places.socket_path(longest + "r")
