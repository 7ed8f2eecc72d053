"""Why a service is stopped: the SERVICE_STOP_REASON_* codes, [MS-SCMR] 2.2.30.

A reason is one general flag (bits 28 to 31), one major code (bits 16 to 23) and one minor code
(bits 0 to 15). The flag CUSTOM goes with custom codes, the other flags with the system's.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CUSTOM = 2
FLAGS: Mapping[int, str] = {1: "unplanned", CUSTOM: "custom", 4: "planned"}
MAJORS: Mapping[int, str] = {
    1: "other",
    2: "hardware",
    3: "operating system",
    4: "software",
    5: "application",
    6: "none",
}
MINORS: Mapping[int, str] = {
    0x01: "other",
    0x02: "maintenance",
    0x03: "installation",
    0x04: "upgrade",
    0x05: "reconfiguration",
    0x06: "hung",
    0x07: "unstable",
    0x08: "disk",
    0x09: "network card",
    0x0A: "environment",
    0x0B: "hardware driver",
    0x0C: "other driver",
    0x0D: "service pack",
    0x0E: "software update",
    0x0F: "security fix",
    0x10: "security",
    0x11: "network connectivity",
    0x12: "WMI",
    0x13: "service pack uninstall",
    0x14: "software update uninstall",
    0x15: "security fix uninstall",
    0x16: "MMC",
    0x17: "none",
}
CUSTOM_MAJORS = range(0x40, 0x100)
CUSTOM_MINORS = range(0x100, 0x1_0000)


def stop_reason(flag: int, major: int, minor: int) -> int:
    """The three parts as one number; which go together is `is_stop_reason`'s to say."""
    return flag << 28 | major << 16 | minor


def is_stop_reason(reason: int) -> bool:
    """Whether a number has exactly one flag, one major and one minor code that go together."""
    flag, unused, major, minor = _parts(reason)
    if flag not in FLAGS or unused:
        return False
    if flag == CUSTOM:
        return major in CUSTOM_MAJORS and minor in CUSTOM_MINORS
    return major in MAJORS and minor in MINORS


def stop_reason_text(reason: int) -> str:
    """`planned, application, environment (0x4005000a)`; custom codes are numbers."""
    flag, _, major, minor = _parts(reason)
    words = FLAGS.get(flag, flag), MAJORS.get(major, major), MINORS.get(minor, minor)
    return ", ".join(map(str, words)) + f" ({reason:#x})"


def _parts(reason: int) -> tuple[int, int, int, int]:
    return reason >> 28, reason >> 24 & 0xF, reason >> 16 & 0xFF, reason & 0xFFFF
