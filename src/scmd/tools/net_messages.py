"""NET.EXE's messages: what its errors are called and how they end."""

from __future__ import annotations

from scmd.vocabulary.errors import Error, error_text

MORE_HELP = "More help is available by typing NET HELPMSG {}."

NERR_TEXTS: dict[int, str] = {
    2182: "The requested service has already been started.",
    2185: "The service name is invalid.",
    2186: "The service is not responding to the control function.",
    2189: "The service could not be controlled in its present state.",
    2191: "The requested pause, continue, or stop is not valid for this service.",
    3521: "The {} service is not started.",
    3533: "The service is starting or stopping.  Please try again later.",
    3534: "The service did not report an error.",
    3547: "A service specific error occurred: {}.",
}
"""NET's own messages that it refers to by number."""

CONTROL_ERRORS: dict[int, int] = {
    Error.INVALID_SERVICE_CONTROL: 2191,
    Error.SERVICE_REQUEST_TIMEOUT: 2186,
}
"""Win32 errors of ControlService that NET has its own message for."""

USAGE = """\
The syntax of this command is:

NET
    [ START [service] | STOP service [/y] | PAUSE service | CONTINUE service | HELPMSG number ]

A service is named by its key name or its display name. NET START alone lists what runs.
Exit status: 0 success, 2 failure, 1 wrong usage.
"""


def help_message(number: int) -> str | None:
    """What NET HELPMSG says: NET's own message, or a Win32 error's; None for no message."""
    if number in NERR_TEXTS:
        return NERR_TEXTS[number].format("***")
    from scmd.vocabulary.error_texts import TEXTS

    return TEXTS.get(number)


def system_error(number: int) -> str:
    """`System error 5 has occurred.`, then the system's own text."""
    return f"System error {number} has occurred.\n\n{error_text(number)}\n"
