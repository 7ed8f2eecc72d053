"""The example services as `scmd demo` shows them: which there are, and where they work.

The services themselves know nothing of a demo; this module chooses parameters that keep them
within the demo's scratch directory and busy enough to watch. Installing and starting them is
the demo's.
"""

from __future__ import annotations

import socket
from functools import cache
from importlib import import_module
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scmd.sdk.service import Service

Data = str | int | tuple[str, ...]


class Example:
    """One example: its service's name, and where its declaration is."""

    def __init__(self, name: str, module: str, attribute: str) -> None:
        self.name = name
        self.module = module
        self.attribute = attribute

    def service(self) -> Service:
        """The declaration; imports the example."""
        declared: Service = getattr(import_module(self.module), self.attribute)
        return declared

    def parameters(self, folder: str) -> Mapping[str, Data]:
        """What to set so that it works in `folder`, as `prepare` made it."""
        places = {name: str(Path(folder, name)) for name in FOLDERS}
        chosen: dict[str, Mapping[str, Data]] = {
            "FileMonitor": {"Folder": places["left"], "Ignore": (".scmd-*",)},
            "Backup": {
                "Source": places["left"],
                "Target": places["backups"],
                "IntervalMinutes": 1,
            },
            "ContentSync": {
                "Left": places["left"],
                "Right": places["right"],
                "IntervalSeconds": 2,
            },
            "WebApi": {"Port": web_port()},
        }
        return chosen.get(self.name, {})


FOLDERS = ("left", "right", "backups")

EXAMPLES: Sequence[Example] = (
    Example("FileMonitor", "scmd.examples.file_monitor", "file_monitor"),
    Example("Backup", "scmd.examples.backup", "backup"),
    Example("ContentSync", "scmd.examples.content_sync", "content_sync"),
    Example("WebApi", "scmd.examples.web_api", "web_api"),
    Example("Notifications", "scmd.examples.notifications", "notifications"),
)
"""In the order to start them."""


def prepare(folder: str) -> None:
    """Makes the folders the examples work on, with a file to begin with."""
    for name in FOLDERS:
        Path(folder, name).mkdir(parents=True, exist_ok=True)
    Path(folder, "left", "welcome.txt").write_text("Change me, and watch.\n")


@cache
def web_port() -> int:
    """8180, or another one where that is taken; asked once."""
    for port in (8180, 0):
        with socket.socket() as probe:
            try:
                # As a server does: else a port whose last connection just ended seems taken.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            taken: int = probe.getsockname()[1]
            return taken
    return 8180


def hints(folder: str) -> list[str]:
    """What to try while the demo runs, a line each."""
    return [
        f"echo hello > {folder}/left/hello.txt   (monitored, synchronized, backed up)",
        f"ls {folder}/right {folder}/backups",
        f"curl http://127.0.0.1:{web_port()}/services",
    ]
