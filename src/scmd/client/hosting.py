"""What `install` records about an unmodified program: the srvany adaptor's parameters."""

from __future__ import annotations

import os

from scmd.vocabulary.command_line import join_command_line, split_command_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def hosting_parameters(
    command: str | Sequence[str],
    directory: str | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    here: bool = True,
) -> dict[str, str | Sequence[str]]:
    """Application, AppParameters, AppDirectory and AppEnvironmentExtra for a command.

    Unless `here`, the paths are another machine's: they must be absolute and are not looked at.
    FileNotFoundError, PermissionError: the program cannot be found or executed; NotADirectoryError:
    no such directory; ValueError: an empty command, or a variable name with `=` or none.
    """
    arguments = split_command_line(command) if isinstance(command, str) else list(command)
    if not arguments:
        raise ValueError("the command is empty")
    values: dict[str, str | Sequence[str]] = {
        "Application": find_program(arguments[0]) if here else _absolute(arguments[0])
    }
    if arguments[1:]:
        values["AppParameters"] = join_command_line(arguments[1:])
    if directory is not None:
        values["AppDirectory"] = _directory(directory) if here else _absolute(directory)
    if environment:
        values["AppEnvironmentExtra"] = tuple(
            variable(name, value) for name, value in environment.items()
        )
    return values


def find_program(program: str) -> str:
    """The absolute path of a program: as it stands if it has a `/`, else found on PATH now."""
    if "/" in program:
        return _executable(os.path.abspath(program), program)
    for folder in os.get_exec_path():
        path = os.path.join(os.path.abspath(folder), program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"there is no program {program} on PATH")


def _executable(path: str, program: str) -> str:
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no program {program}")
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise PermissionError(f"{program} is not an executable file.")
    return path


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path} is to be on another machine: an absolute path is needed")
    return path


def _directory(directory: str) -> str:
    path = os.path.abspath(directory)
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{directory} is not a directory.")
    return path


def variable(name: str, value: str) -> str:
    """`NAME=value`; ValueError for a name that no environment can hold."""
    if not name or "=" in name or "\0" in name + value:
        raise ValueError(f"{name!r} cannot name an environment variable")
    return f"{name}={value}"
