"""scmd: the Windows NT service system for Linux.

A lazy façade: importing it imports nothing. The small API lives in `scmd.sdk`, the client in
`scmd.client`, the Win32 functions in `scmd.winsvc`.
"""

from __future__ import annotations

__version__ = "0.1.0"
