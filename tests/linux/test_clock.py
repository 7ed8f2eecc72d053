"""The host's time zones and its clock."""

from __future__ import annotations

import select
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scmd.linux import clock

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


def offset(name: str) -> float:
    found = clock.zone(name)
    assert found is not None
    shown = SUMMER.astimezone(found).utcoffset()
    assert shown is not None
    return shown.total_seconds() / 3600


def test_zones_by_name() -> None:
    assert (offset("Europe/Berlin"), offset("UTC"), offset("Asia/Kathmandu")) == (2, 0, 5.75)


@pytest.mark.parametrize("name", ["Nowhere", "../etc/passwd", "/etc/passwd", "a\0b", "Europe", "é"])
def test_what_is_no_zone(name: str) -> None:
    assert clock.zone(name) is None


def test_the_hosts_own_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert offset("") == 2
    monkeypatch.delenv("TZ")
    monkeypatch.setattr(clock, "LOCAL", "/usr/share/zoneinfo/America/New_York")
    assert offset("") == -4
    monkeypatch.setattr(clock, "LOCAL", str(tmp_path / "none"))
    assert offset("") == 0


def test_the_watch_is_quiet_while_nobody_sets_the_clock() -> None:
    watch = clock.ClockWatch()
    try:
        assert select.select([watch], [], [], 0)[0] == []
        watch.again()
    finally:
        watch.close()
    assert abs(clock.wall() / 1_000 - time.time()) < 60
