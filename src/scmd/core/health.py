"""Readiness and health of hosted programs: what the Parameters about them mean.

One value says both how to ask and whom: `notify`, `notify-reload`, `tcp:HOST:PORT`, `http://HOST:PORT/PATH`,
`command:/PATH ARG...`, `log:TEXT`; `exec`, or nothing, asks nobody. So a value that is
wrong is wrong when it is set. Asking is `watches`', what an answer leads to `hosting`'s.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from scmd.vocabulary.command_line import split_command_line
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.numbers import decimal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READY, READY_TIME, READY_INTERVAL = "AppReady", "AppReadyTime", "AppReadyInterval"
HEALTH, HEALTH_TIME, HEALTH_INTERVAL = "AppHealth", "AppHealthTime", "AppHealthInterval"
PID_FILE = "AppPidFile"
HEALTH_FAILURES, WATCHDOG = "AppHealthFailures", "AppWatchdogTime"

NUMBERS = {
    READY_TIME: 60_000,
    READY_INTERVAL: 250,
    HEALTH_TIME: 5_000,
    HEALTH_INTERVAL: 10_000,
    HEALTH_FAILURES: 3,
    WATCHDOG: 0,
}
"""Their defaults; milliseconds but for the failures."""
SHORTEST_INTERVAL = 10
"""Milliseconds between two questions, whatever was configured."""
LOCAL_HOST = "127.0.0.1"
_PROBES = "tcp:HOST:PORT, http://HOST:PORT/PATH or command:/PATH ARG..."


class Way(Enum):
    """How a program is asked, or says by itself."""

    NOTIFY = "notify"
    NOTIFY_RELOAD = "notify-reload"
    """And after a reload too."""
    TCP = "tcp"
    HTTP = "http"
    COMMAND = "command"
    LOG = "log"


class Probe(Struct, frozen=True):
    """One question. TCP: a connection is accepted; HTTP: GET is answered with a status below
    400; COMMAND: it exits with 0. The NOTIFYs and LOG are not asked: the program says it, or writes
    a line with the text `path` in it."""

    way: Way
    host: str = ""
    port: int = 0
    path: str = ""
    argv: tuple[str, ...] = ()


class HealthPlan(Struct, frozen=True):
    """What a program is asked. Milliseconds."""

    ready: Probe | None = None
    ready_time: int = 60_000
    ready_interval: int = 250
    health: Probe | None = None
    health_time: int = 5_000
    health_interval: int = 10_000
    health_failures: int = 3
    watchdog: int = 0
    """It must say WATCHDOG=1 this often; 0: it need not."""
    given: tuple[tuple[str, str], ...] = ()
    """Names and values that make this plan again; see `restored`."""

    @property
    def listens(self) -> bool:
        """Whether what the program says by sd_notify counts."""
        return bool(self.watchdog) or self.says_when_ready

    @property
    def says_when_ready(self) -> bool:
        return self.ready is not None and self.ready.way in (Way.NOTIFY, Way.NOTIFY_RELOAD)

    @property
    def says_when_reloaded(self) -> bool:
        return self.ready is not None and self.ready.way is Way.NOTIFY_RELOAD


_NOTHING = HealthPlan()


def plan(text: Callable[[str], str], number: Callable[[str, int], int]) -> HealthPlan:
    """From two functions that read a value by its name, the second with its default."""
    ready, health = text(READY), text(HEALTH)
    numbers = {name: number(name, default) for name, default in NUMBERS.items()}
    if not ready and not health and numbers == NUMBERS:
        return _NOTHING
    values = {READY: ready, HEALTH: health}
    changed = {name: str(value) for name, value in numbers.items() if value != NUMBERS[name]}
    return HealthPlan(
        given=tuple((name, value) for name, value in (values | changed).items() if value),
        ready=parse_ready(READY, ready),
        ready_time=numbers[READY_TIME],
        ready_interval=max(SHORTEST_INTERVAL, numbers[READY_INTERVAL]),
        health=parse_health(HEALTH, health),
        health_time=max(1, numbers[HEALTH_TIME]),
        health_interval=max(SHORTEST_INTERVAL, numbers[HEALTH_INTERVAL]),
        health_failures=max(1, numbers[HEALTH_FAILURES]),
        watchdog=numbers[WATCHDOG],
    )


def restored(given: tuple[tuple[str, str], ...]) -> HealthPlan:
    """The plan that `given` is of; nothing is asked should it make no sense any more."""
    values = dict(given)
    try:
        return plan(
            lambda name: values.get(name, ""), lambda name, default: int(values.get(name, default))
        )
    except (Refused, ValueError):
        return _NOTHING


def without_watchdog(plan: HealthPlan) -> HealthPlan:
    """For a program of which nobody knows whether it was told to keep a watchdog quiet."""
    return restored(tuple({**dict(plan.given), WATCHDOG: "0"}.items()))


def parse_ready(name: str, text: str) -> Probe | None:
    """None: ready when executed, or settled. Refused: 87."""
    word = text.strip().lower()
    if word in ("", "exec"):
        return None
    if word in ("notify", "notify-reload"):
        return Probe(Way(word))
    if text.startswith("log:") and text[4:].isprintable() and text[4:]:
        return Probe(Way.LOG, path=text[4:])
    return _probe(name, text.strip(), f"exec, notify, notify-reload, log:TEXT, {_PROBES}")


def parse_health(name: str, text: str) -> Probe | None:
    """None: nobody asks. Refused: 87."""
    return _probe(name, text.strip(), _PROBES) if text.strip() else None


def _probe(name: str, text: str, expected: str) -> Probe:
    way, colon, target = text.partition(":")
    probe = None
    match way.lower() if colon else "":
        case "tcp":
            host, port = _end_point(target, "")
            probe = Probe(Way.TCP, host, port) if port else None
        case "http" if target.startswith("//") and target[2:3] not in ("", "/"):
            place, _, path = target[2:].partition("/")
            host, port = _end_point(place, "80")
            plain = path.isascii() and path.isprintable() and " " not in path
            probe = Probe(Way.HTTP, host, port, "/" + path) if port and plain else None
        case "command":
            words = tuple(split_command_line(target))
            absolute = bool(words) and words[0].startswith("/")
            probe = Probe(Way.COMMAND, argv=words) if absolute else None
    if probe is None:
        raise Refused(Error.INVALID_PARAMETER, f"{name}: expected {expected}, not {text!r}")
    return probe


def _end_point(text: str, default: str) -> tuple[str, int]:
    """Host and port; `:PORT` and `PORT` are this machine's, `[...]` encloses an IPv6 address.

    The port is 0 when it makes no sense.
    """
    text = text.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") if rest else default
    elif ":" in text or default:
        host, colon, port = text.partition(":")
        port = port if colon else default
    else:
        host, port = "", text
    host = host or LOCAL_HOST
    number = decimal(port)
    if number is None or number > 0xFFFF:
        return "", 0
    if not host.isascii() or any(c.isspace() or not c.isprintable() for c in host):
        return "", 0
    return host, number
