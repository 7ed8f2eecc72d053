"""What smbd needs so that it hands `\\PIPE\\svcctl` over, and how it protects what it carries.

smbd looks for all named pipes in one folder: the others are links to where Samba serves them.
"""

from __future__ import annotations

import os
import shutil
import subprocess

PIPES = (
    *("dssetup", "epmapper", "eventlog", "fssagentrpc", "initshutdown", "lsarpc", "lsass"),
    *("mdssvc", "netdfs", "netlogon", "ntsvcs", "plugplay", "samr", "spoolss", "srvsvc"),
    *("winreg", "wkssvc"),
)
"""What Samba serves. A link may lead nowhere: smbd starts the server and tries again."""
_DEFAULT_FOLDER = "/run/samba/ncalrpc"
_TESTPARM_S = 20.0
_REQUIRED = ("required", "mandatory")
_OPTION = "external_rpc_pipe:socket_dir"


def prepare(folder: str, configuration: str | None = None) -> str:
    """Make the links below the folder; what to tell the administrator."""
    settings = {
        name: _samba_setting(name, configuration)
        for name in ("ncalrpc dir", "server signing", "server smb encrypt", _OPTION)
    }
    _link_others(folder, settings["ncalrpc dir"] or _DEFAULT_FOLDER)
    lines = []
    if settings[_OPTION] == folder:
        lines.append("smb.conf has the line that smbd needs.")
    else:
        lines += [
            "smbd needs this line in the section [global] of smb.conf, and a restart:",
            f"    {_OPTION} = {folder}",
        ]
    signing, encryption = settings["server signing"], settings["server smb encrypt"]
    if signing is None or encryption is None:
        lines.append("testparm does not say how smbd protects what it carries.")
        signing = encryption = ""
    else:
        lines.append(f"smbd: server signing = {signing}, server smb encrypt = {encryption}")
    if encryption.lower() not in _REQUIRED:
        lines += [
            "To require encryption of everything, for smbd's other shares too:",
            "    server smb encrypt = required",
        ]
        if signing.lower() not in _REQUIRED:
            lines += ["To require signatures at least:", "    server signing = mandatory"]
    return "".join(line + "\n" for line in lines)


def _link_others(folder: str, pipes: str) -> None:
    for name in PIPES:
        link = os.path.join(folder, "np", name)
        target = os.path.join(pipes, "np", name)
        try:
            if os.readlink(link) == target:
                continue
            os.unlink(link)
        except OSError:
            pass  # There is none yet; whatever else is there, `symlink` says.
        os.symlink(target, link)


def _samba_setting(name: str, configuration: str | None) -> str | None:
    """What testparm says; None where there is no Samba, or it does not know the setting."""
    program = shutil.which("testparm", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/local/bin")
    if program is None:
        return None
    files = [] if configuration is None else [configuration]
    try:
        done = subprocess.run(
            [program, "-s", f"--parameter-name={name}", *files],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TESTPARM_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[-1].strip() if done.returncode == 0 and lines else None
