"""All of svcctl: importing this module declares every published operation.

`SVCCTL.operations` then has 0 to 64 without the numbers reserved for local use (10, 22, 34,
43, 46, 52 to 55, 57 to 59, 61 to 63), which are answered by a fault.
"""

from __future__ import annotations

from scmd.svcctl import administration, configuration, control, opening
from scmd.svcctl.interface import SVCCTL

OPERATIONS = SVCCTL.operations

__all__ = ["OPERATIONS", "SVCCTL", "administration", "configuration", "control", "opening"]
