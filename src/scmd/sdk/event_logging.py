"""`svc.log`: a logger whose records go to the event log and to stderr.

Works where there is no stderr (`sys.stderr is None`, or closed). If the program configured
the root logger, that prints the records and this module only feeds the event log.
"""

from __future__ import annotations

import logging
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ERROR_TYPE = 0x1
WARNING_TYPE = 0x2
INFORMATION_TYPE = 0x4
MAX_STRING = 31_839
"""Characters of one insert, as ReportEvent allows."""

LINE = "%(asctime)s %(levelname)s %(message)s"


class EventLogHandler(logging.Handler):
    """Passes records to `report(type, event_id, category, text)`.

    `extra={"event_id": 5, "category": 1}` in a logging call sets those; else they are 0.
    """

    def __init__(self, report: Callable[[int, int, int, str], None]) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._report(
                event_type(record.levelno),
                _number(record, "event_id", 0xFFFFFFFF),
                _number(record, "category", 0xFFFF),
                self.format(record)[:MAX_STRING],
            )
        except Exception:
            self.handleError(record)


def event_type(level: int) -> int:
    """EVENTLOG_*_TYPE of a logging level."""
    if level >= logging.ERROR:
        return ERROR_TYPE
    return WARNING_TYPE if level >= logging.WARNING else INFORMATION_TYPE


def _number(record: logging.LogRecord, name: str, mask: int) -> int:
    value = getattr(record, name, 0)
    return value & mask if isinstance(value, int) else 0


class StderrHandler(logging.Handler):
    """Writes to what `sys.stderr` is at the time; silent without one."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(LINE))

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr
        if stream is None or logging.getLogger().handlers:
            return
        try:
            stream.write(self.format(record) + "\n")
            stream.flush()
        except (OSError, ValueError):
            return


def service_logger(name: str, report: Callable[[int, int, int, str], None]) -> logging.Logger:
    """The service's logger: level INFO unless the program chose one; a restart rewires it."""
    # A dot in a service name must not make it the child of another service.
    logger = logging.getLogger("scmd.service." + name.replace(".", "_"))
    for handler in list(logger.handlers):
        if isinstance(handler, EventLogHandler | StderrHandler):
            logger.removeHandler(handler)
    logger.addHandler(EventLogHandler(report))
    logger.addHandler(StderrHandler())
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return logger
