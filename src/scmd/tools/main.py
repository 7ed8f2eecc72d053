"""scmd: one executable with subcommands; `sc` and `net` by those names too (`scmd links`).

The dispatch is by hand and imports only the subcommand that is asked for. What several commands
share is here: exit statuses for an interrupted or a cut-off command, and the outputs' encoding.
"""

from __future__ import annotations

import errno
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
WRONG_USAGE = 2

USAGE = """\
usage: scmd COMMAND [ARGUMENT...]

  run [--state DIR] [--runtime DIR]   the Service Control Manager, in the foreground
  init [-- PROGRAM [ARG...]]          the same as the first process of a container
  demo                                a scratch SCM with five example services
  sc [//HOST] COMMAND ...             SC.EXE: query, start, stop, create, config...
  net start|stop|pause|continue|helpmsg
                                      NET.EXE's service part
  install NAME [OPTION...] -- PROGRAM [ARG...]
                                      an unmodified program as a service
  set NAME PARAMETER VALUE...         a parameter of a service
  get NAME [PARAMETER] [--json]       its parameters
  remove NAME                         stop and delete a service
  status [NAME] [--json]              the SCM itself; how a service has failed, and what comes next
  settings [NAME [VALUE...]] [--json] what holds for the whole SCM: limits, times, groups
  watch [NAME...] [--initial] [--after PLACE] [--json | --listen [ADDRESS:]PORT]
                                      what happens to services, as it happens
  logs NAME [-f] [-n LINES]           captured output of a service
  events [-n N] [--source S] [--json] the event log
  upgrade                             the newly installed version, while services run on
  boot-plot FILE.svg                  the start-up as a picture
  why NAME [--json]                   why it is not running, starting, stopping or deleted
  history NAME [-n N] [--json]        its states: when, how long, why and who asked
  crash NAME [--older N] [--json]     its last failure: cause, traceback, output, history
  kill NAME                           kill a stuck service's processes
  reload NAME                         have a service read its configuration again
  grant WHO RIGHTS NAME               let somebody start, stop, query... one service
  revoke WHO [RIGHTS] NAME            take it back
  grants NAME [--json]                who may do what to it
  links DIR                           make the links `sc` and `net` in DIR
  remote enable|disable|status|adduser|passwd|deluser
                                      end points for other machines, and who may come
  rpc-stdio                           what ssh://HOST runs at the other end
  COMMAND --help                      more about one command

A NAME that begins with `-` comes after `--`, with all that follows it: scmd why -- -name
(after which install has its PROGRAM; `scmd sc create` takes any name)

Another machine's SCM: a HOST before a command's other arguments (docs/remote.md).

  //NAME or \\\\NAME                    by RPC: the endpoint mapper, then the named pipe
  //NAME:PORT                         by RPC at that TCP port
  ssh://[USER@]NAME                   by ssh
  -U USER[%PASSWORD]                  who calls, after HOST; the password is asked for when missing
  -A FILE                             the same from a file: `username = X`, `password = Y`
  -k                                  whom the Kerberos ticket is for; so it is without -U and -A

Every command finds its SCM through SCMD_RUNTIME (and SCMD_STATE), else at the
usual place: /run/scmd for root, XDG_RUNTIME_DIR/scmd for other users.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command line; the exit status. Without `arguments`, this process's own.

    As a process of its own `sc` ends here: it lives for milliseconds, of which collecting
    garbage and taking the interpreter apart would be a sixth.
    """
    if arguments is not None:
        return _run(arguments)
    arguments = sys.argv[1:]
    program = os.path.basename(sys.argv[0])
    if program in ("sc", "net"):
        arguments.insert(0, program)
    if arguments[:1] != ["sc"]:
        return _run(arguments)
    gc.disable()
    status = _run(arguments)
    sys.stderr.flush()
    os._exit(status)


def _run(arguments: list[str]) -> int:
    _make_outputs_safe()
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not raise again at exit.
        _let_go_of_output()
        return 1
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if not is_full or error.filename or arguments[0] in ("run", "init"):
            raise
        _let_go_of_output()
        sys.stderr.write(f"scmd: the output cannot be written: {error.strerror}\n")
        return 1
    return status


def _let_go_of_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _make_outputs_safe() -> None:
    """What cannot be encoded is shown as an escape; a closed output swallows what is written."""
    if sys.stdout is None or sys.stderr is None:
        nowhere = open(os.devnull, "w")  # noqa: SIM115 # for the whole process
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["help"] and len(arguments) == 2:
        arguments = [arguments[1], "--help"]
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        (sys.stdout if arguments else sys.stderr).write(USAGE)
        return 0 if arguments else WRONG_USAGE
    name = arguments[0]
    if name in ("--version", "-V"):
        from scmd import __version__

        sys.stdout.write(f"scmd {__version__}\n")
        return 0
    command = find(name)
    if command is None:
        sys.stderr.write(f"scmd: there is no command {name!r}; see scmd --help\n")
        return WRONG_USAGE
    return command(arguments[1:])


def find(name: str) -> Callable[[list[str]], int] | None:
    """The function of a subcommand, imported now; None for an unknown one."""
    if name == "sc":
        from scmd.tools.sc import run as command
    elif name == "net":
        from scmd.tools.net import run as command
    else:
        from scmd.tools.commands import find as find_other

        return find_other(name)
    return command


if __name__ == "__main__":
    sys.exit(main())
