"""The keeper's ends of the services' output: held until nobody can write to them any more.

A logger reads them; the next one is given those that the last one had not seen the end of.
"""

from __future__ import annotations

import os

from scmd.daemon import keeper_messages as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.daemon.keeper_socket import FrameSocket


class Captures:
    """By launch number."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[wire.Capture, int]] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._held

    def begin(self, launch: wire.Launch, descriptor: int, logger: FrameSocket | None) -> None:
        """Hold the descriptor, and pass it to the logger if there is one."""
        capture = wire.Capture(
            number=launch.number,
            service=launch.service,
            name=launch.name,
            timestamps=launch.log_timestamps,
            name_prefix=launch.log_name,
            essential=launch.essential,
            awaited_line=launch.awaited_line,
        )
        self._held[launch.number] = capture, descriptor
        if logger is not None:
            self._pass(capture, descriptor, logger)

    def pass_all(self, logger: FrameSocket) -> None:
        for capture, descriptor in self._held.values():
            self._pass(capture, descriptor, logger)

    @staticmethod
    def _pass(capture: wire.Capture, descriptor: int, logger: FrameSocket) -> None:
        # It is the logger that says when to close it, and so when it has got it.
        logger.send(capture, descriptor, lent=True)

    def were_lost(self) -> None:
        """The logger has died: the next one is to say that lines may be missing."""
        for number, (capture, descriptor) in self._held.items():
            self._held[number] = capture.replace(again=True), descriptor

    def end(self, number: int) -> bool:
        """Let go of one; whether it was held."""
        held = self._held.pop(number, None)
        if held is not None:
            os.close(held[1])
        return held is not None
