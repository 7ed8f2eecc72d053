"""Where the SCM keeps its state and where it is reached: directories and end points.

The order is the same for every command: what the caller was told (`--state`, `--runtime`),
then `SCMD_STATE` and `SCMD_RUNTIME`, then root's fixed directories or the user's XDG ones.
Without `XDG_RUNTIME_DIR` the runtime directory is `/tmp/scmd-UID`; since anybody may create
that name first, it is used only when it is the user's own and closed to others.

Nothing is created here: the keeper makes the directories. What lies in them is their owners'
business (docs/architecture.md, "Directories").
"""

from __future__ import annotations

import os
import stat

SOCKET_NAME = "scm.sock"
MAX_SOCKET_PATH_BYTES = 107
"""sockaddr_un holds 108 bytes, the final NUL included."""


class PlaceError(Exception):
    """A directory or end point that cannot be used; the text says which and why."""


def state_directory(option: str | None = None) -> str:
    """The absolute path of STATE; it may not exist yet. PlaceError: no home directory."""
    told = option or os.environ.get("SCMD_STATE")
    if told:
        return os.path.abspath(told)
    if os.geteuid() == 0:
        return "/var/lib/scmd"
    base = _xdg("XDG_STATE_HOME") or os.path.join(_home(), ".local", "state")
    return os.path.join(base, "scmd")


def runtime_directory(option: str | None = None) -> str:
    """The absolute path of RUNTIME; it may not exist yet.

    PlaceError: the private directory under /tmp exists and is not private or not ours.
    """
    told = option or os.environ.get("SCMD_RUNTIME")
    if told:
        return os.path.abspath(told)
    uid = os.geteuid()
    if uid == 0:
        return "/run/scmd"
    base = _xdg("XDG_RUNTIME_DIR")
    if base:
        return os.path.join(base, "scmd")
    path = f"/tmp/scmd-{uid}"
    _check_private(path, uid)
    return path


def socket_path(runtime: str, name: str = SOCKET_NAME) -> str:
    """A socket inside RUNTIME, by default the local RPC end point.

    PlaceError: longer than a socket's name may be.
    """
    path = os.path.join(runtime, name)
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise PlaceError(
            f"The socket path {path} has {length} bytes; Linux allows {MAX_SOCKET_PATH_BYTES}. "
            "Choose a shorter runtime directory with --runtime or SCMD_RUNTIME."
        )
    return path


def _xdg(variable: str) -> str | None:
    """An XDG base directory; a relative one is to be ignored, says its specification."""
    value = os.environ.get(variable)
    return value if value and os.path.isabs(value) else None


def _home() -> str:
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise PlaceError(
            "There is no home directory to keep the state in. Set HOME, SCMD_STATE or --state."
        )
    return home


def _check_private(path: str, uid: int) -> None:
    """Refuse a directory another user may have made or may write to; absence is fine."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise PlaceError(f"{path} cannot be examined: {error.strerror}.") from error
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077
    if not private:
        raise PlaceError(
            f"{path} is not a private directory of this user (uid {uid}, mode 0700). "
            "Remove it, or set XDG_RUNTIME_DIR or SCMD_RUNTIME."
        )
