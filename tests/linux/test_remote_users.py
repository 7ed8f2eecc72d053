"""The file of those who may come from other machines."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from scmd.linux.remote_users import NAME, RemoteUsers

HASH = bytes(range(16))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


def test_users_are_kept_in_a_closed_file(path: Path) -> None:
    users = RemoteUsers(path)
    ann = users.put("Ann", HASH, administrator=True)
    bob = users.put("bob", None, administrator=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = RemoteUsers(path)
    assert list(again) == [ann, bob]
    assert again.get("aNN") == ann
    assert [entry.name for entry in path.parent.iterdir()] == [NAME]
    assert HASH.hex() not in repr(ann) + repr(list(again))


def test_a_sid_is_never_given_twice(path: Path) -> None:
    users = RemoteUsers(path)
    first = users.put("ann", HASH, administrator=False)
    assert users.put("ANN", bytes(16), administrator=True).sid == first.sid
    assert users.remove("Ann")
    assert not users.remove("Ann")
    assert RemoteUsers(path).put("ann", HASH, administrator=False).sid != first.sid


def test_what_cannot_be_saved_has_not_happened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = RemoteUsers(path)
    users.put("ann", HASH, administrator=False)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="space"):
        users.put("bob", HASH, administrator=True)
    with pytest.raises(OSError, match="space"):
        users.remove("ann")
    assert [user.name for user in users] == ["ann"]
    assert [user.name for user in RemoteUsers(path)] == ["ann"]


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("{", 0o600, "damaged"),
        ("[]", 0o600, "damaged"),
        ('{"version": 1}', 0o600, "damaged"),
        ('{"version": 2, "users": []}', 0o600, "format 2"),
        (
            '{"version": 1, "domain": "", "next": 1, "users": [{"name": "a", "sid": "S-1"}]}',
            0o600,
            "damaged",
        ),
        ("{}", 0o644, "closed to others"),
    ],
)
def test_a_file_that_cannot_be_used_lets_nobody_in_and_stays(
    path: Path, text: str, mode: int, problem: str
) -> None:
    path.write_text(text)
    path.chmod(mode)
    users = RemoteUsers(path)
    assert problem in users.problem
    assert list(users) == []
    with pytest.raises(OSError, match=problem):
        users.put("ann", HASH, administrator=True)
    assert path.read_text() == text


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text(json.dumps({"version": 1}))
    path.symlink_to(target)
    assert RemoteUsers(path).problem
