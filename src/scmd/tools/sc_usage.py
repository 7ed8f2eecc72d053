"""What sc prints when it is asked nothing, or wrongly."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_DESCRIPTION = """\
DESCRIPTION:
        SC communicates with the Service Control Manager and services.
USAGE:
        sc <server> [command] [service name] <option1> <option2>...

        The option <server> has the form "\\\\ServerName" or "//ServerName".
        Type "sc [command]" for the usage of one command.
        Options are "name= value" or "name=value"; case does not matter.
        --json after a query prints an object, or a list of objects.
        Exit status: 0 success, 1 the SCM refused (its error is printed), 2 wrong usage.
        Commands:
"""

_CONFIGURATION = (
    " [type= own|share|interact|kernel|filesys|rec|adapt|userown|usershare]"
    " [start= boot|system|auto|demand|disabled|delayed-auto]"
    " [error= normal|severe|critical|ignore] [group= GROUP] [tag= yes|no] [depend= A/B/+GROUP]"
    " [obj= ACCOUNT] [DisplayName= TEXT] [password= TEXT]"
)

# Verb: (arguments, what it does).
COMMANDS: dict[str, tuple[str, str]] = {
    "query": (
        (
            "[service] | [type= driver|service|userservice|all|own|share|interact|kernel|filesys"
            "|rec|adapt] [state= active|inactive|all] [bufsize= BYTES] [ri= INDEX] [group= GROUP]"
        ),
        "Queries the status of a service, or enumerates.",
    ),
    "queryex": ("as query", "Queries the extended status: PID and FLAGS too."),
    "start": ("service [argument...]", "Starts a service."),
    "pause": ("service", "Sends a PAUSE control."),
    "interrogate": ("service", "Sends an INTERROGATE control."),
    "continue": ("service", "Sends a CONTINUE control."),
    "stop": ("service [flag:major:minor [comment]]", "Sends a STOP control."),
    "config": (
        ("service [binPath= COMMANDLINE]" + _CONFIGURATION),
        "Changes the configuration of a service.",
    ),
    "description": ("service [text]", "Changes the description of a service."),
    "failure": (
        (
            "service [reset= SECONDS|INFINITE] [reboot= TEXT] [command= COMMANDLINE]"
            " [actions= restart|reboot|run/MILLISECONDS/...]"
        ),
        "Changes what is done when a service fails.",
    ),
    "failureflag": ("service 0|1", "Makes a stop with an error count as a failure, or not."),
    "sidtype": ("service none|unrestricted|restricted", "Changes the service SID type."),
    "privs": ("service PRIVILEGE/...", "Changes the required privileges of a service."),
    "triggerinfo": (
        (
            "service delete | [start/device/UUID/HWID...] [start/networkon] [stop/networkoff]"
            " [start/domainjoin] [stop/domainleave] [start/portopen/PORT;PROTOCOL;IMAGE;SERVICE]"
            " [stop/portclose/PORT;PROTOCOL;IMAGE;SERVICE] [start/machinepolicy]"
            " [start/userpolicy] [start/rpcinterface/UUID] [start/namedpipe/NAME]"
            " [start|stop/custom/UUID/HEX...] [start|stop/strcustom/UUID/TEXT...]"
            " [start|stop/lvlcustom/UUID/LEVEL...] [start|stop/kwanycustom/UUID/KEYWORD...]"
            " [start|stop/kwallcustom/UUID/KEYWORD...]"
        ),
        "Changes the triggers of a service (records; nothing acts on them).",
    ),
    "preferrednode": ("service NODE|-1", "Changes the preferred NUMA node; -1: none."),
    "managedaccount": ("service true|false", "Marks the account as a managed one."),
    "runlevel": ("service LEVEL", "Changes the lowest run level."),
    "qc": ("service [bufsize]", "Queries the configuration of a service."),
    "qdescription": ("service [bufsize]", "Queries the description of a service."),
    "qfailure": ("service [bufsize]", "Queries the actions taken when a service fails."),
    "qfailureflag": ("service [bufsize]", "Queries the failure actions flag."),
    "qsidtype": ("service [bufsize]", "Queries the service SID type."),
    "qprivs": ("service [bufsize]", "Queries the required privileges."),
    "qtriggerinfo": ("service [bufsize]", "Queries the triggers of a service."),
    "qpreferrednode": ("service [bufsize]", "Queries the preferred NUMA node."),
    "qmanagedaccount": ("service [bufsize]", "Queries whether the account is a managed one."),
    "qprotection": ("service [bufsize]", "Queries the protection level."),
    "quserservice": ("service [bufsize]", "Queries whether it is a user service."),
    "qrunlevel": ("service [bufsize]", "Queries the lowest run level."),
    "sdshow": ("service|scmanager [showrights]", "Shows the security descriptor, as SDDL."),
    "sdset": ("service|scmanager SDDL", "Changes the security descriptor."),
    "showsid": ("service", "Shows the SID of a service name; the service need not exist."),
    "control": (
        "service paramchange|netbindadd|netbindremove|netbindenable|netbinddisable|128..255",
        "Sends a control to a service.",
    ),
    "create": (
        "service binPath= COMMANDLINE" + _CONFIGURATION,
        "Creates a service (an entry in the database).",
    ),
    "delete": ("service", "Deletes a service (from the database)."),
    "GetDisplayName": ("service [bufsize]", "Gets the display name of a service."),
    "GetKeyName": ("displayname [bufsize]", "Gets the key name for a display name."),
    "boot": ("ok|bad", "Says whether this boot is to count as a good one."),
    "Lock": ("", "Locks the database until u is typed."),
    "QueryLock": ("", "Queries who holds the lock of the database."),
    "EnumDepend": ("service [bufsize]", "Enumerates what depends on a service."),
}


def usage() -> str:
    """The whole help text: how to call it, and every command in a line."""
    return _DESCRIPTION + "".join(
        f"          {verb:<16}{meaning}\n" for verb, (_, meaning) in COMMANDS.items()
    )


def command_usage(verb: str) -> str:
    """The usage of one command, by its name in any case; the whole text for an unknown one."""
    for known, (arguments, meaning) in COMMANDS.items():
        if known.lower() == verb.lower():
            line = f"        sc <server> {known} " + _one_a_line(arguments)
            more = _stop_reasons() if known == "stop" else ""
            return f"DESCRIPTION:\n        {meaning}\nUSAGE:\n{line}\n{more}"
    return usage()


def _one_a_line(arguments: str) -> str:
    """Several options stand below each other."""
    several = arguments.count("= ") > 1 or arguments.count(" [") > 2
    return arguments.replace(" [", "\n          [") if several else arguments


def _stop_reasons() -> str:
    from scmd.vocabulary.stop_reasons import CUSTOM, FLAGS, MAJORS, MINORS

    def listed(title: str, codes: Mapping[int, str], custom: str) -> str:
        lines = "".join(f"          {code:>2}  {text}\n" for code, text in codes.items())
        return f"        {title}{custom}:\n{lines}"

    custom = f"; with flag {CUSTOM}, "
    return (
        listed("Flag", FLAGS, "")
        + listed("Major", MAJORS, custom + "64 to 255")
        + listed("Minor", MINORS, custom + "256 to 65535")
    )
