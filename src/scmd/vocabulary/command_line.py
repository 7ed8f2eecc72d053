"""Command lines: ImagePath and AppParameters to an argument list, and back.

The rules are those of CommandLineToArgvW for every argument: blanks separate, double
quotes group, a backslash is itself unless it stands before a double quote. Nothing is
expanded; there is no shell.
"""

from __future__ import annotations


def split_command_line(line: str) -> list[str]:
    """The arguments of a command line; an unclosed quote runs to the end."""
    if '"' not in line:
        # Then nothing but blanks means anything.
        return [word for word in line.replace("\t", " ").split(" ") if word]
    arguments: list[str] = []
    current: list[str] | None = None
    quoted = False
    position = 0
    while position < len(line):
        character = line[position]
        if character in " \t" and not quoted:
            if current is not None:
                arguments.append("".join(current))
                current = None
            position += 1
            continue
        current = [] if current is None else current
        if character == "\\":
            end = position
            while end < len(line) and line[end] == "\\":
                end += 1
            count = end - position
            if end < len(line) and line[end] == '"':
                current.append("\\" * (count // 2))
                if count % 2:
                    current.append('"')
                    end += 1
            else:
                current.append("\\" * count)
            position = end
        elif character == '"':
            if quoted and line[position + 1 : position + 2] == '"':
                current.append('"')
                position += 1
            else:
                quoted = not quoted
            position += 1
        else:
            current.append(character)
            position += 1
    if current is not None:
        arguments.append("".join(current))
    return arguments


def join_command_line(arguments: list[str] | tuple[str, ...]) -> str:
    """A line that `split_command_line` splits into exactly these arguments."""
    return " ".join(_quoted(argument) for argument in arguments)


def _quoted(argument: str) -> str:
    if argument and not any(character in ' \t"' for character in argument):
        return argument
    parts = ['"']
    backslashes = 0
    for character in argument:
        if character == "\\":
            backslashes += 1
            continue
        if character == '"':
            parts.append("\\" * (2 * backslashes + 1) + '"')
        else:
            parts.append("\\" * backslashes + character)
        backslashes = 0
    parts.append("\\" * (2 * backslashes) + '"')
    return "".join(parts)
