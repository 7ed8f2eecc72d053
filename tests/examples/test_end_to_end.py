"""The example services as anybody runs them: installed in an SCM, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd.examples.archives import archives_of, restore
from tests.examples.real_scm import RealScm, await_change


@pytest.fixture
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealScm]:
    before = dict(os.environ)
    scm = RealScm(tmp_path_factory.mktemp("scm"))
    yield scm
    status = scm.shut_down()
    os.environ.clear()
    os.environ.update(before)
    assert status == 0


def test_the_file_monitor_tells_of_a_new_file(real: RealScm) -> None:
    service = real.start("FileMonitor")
    (real.folder / "left" / "first").touch()
    real.await_log("created: " + str(real.folder / "left" / "first"))
    assert real.stop(service).win32_exit_code == 0


def test_a_backup_is_made_at_start_and_on_demand_and_restores(
    real: RealScm, tmp_path: Path
) -> None:
    target = real.folder / "backups"
    service = real.start("Backup", IntervalMinutes=1000)
    await_change(target, lambda: len(archives_of(target)) == 1, "the first archive")
    (real.folder / "left" / "more").write_text("more")
    service.control(200)
    await_change(target, lambda: len(archives_of(target)) == 2, "the second archive")
    real.stop(service)
    restore(target, tmp_path)
    assert (tmp_path / "more").read_text() == "more"
    assert (tmp_path / "welcome.txt").exists()


def test_a_stop_in_the_middle_of_a_backup_leaves_whole_archives_only(
    real: RealScm, tmp_path: Path
) -> None:
    target = real.folder / "backups"
    with open(real.folder / "left" / "large", "wb") as large:
        large.truncate(4 << 30)
    service = real.start("Backup")
    await_change(target, lambda: any(target.glob("*.partial")), "a backup under way")
    assert real.stop(service).win32_exit_code == 0
    assert list(target.iterdir()) == []
    os.truncate(real.folder / "left" / "large", 1000)
    service.start()
    await_change(target, lambda: bool(archives_of(target)), "the backup")
    real.stop(service)
    restore(target, tmp_path)
    assert (tmp_path / "large").stat().st_size == 1000


def test_a_backup_that_was_killed_is_made_by_the_next_start(real: RealScm) -> None:
    target = real.folder / "backups"
    with open(real.folder / "left" / "large", "wb") as large:
        large.truncate(4 << 30)
    service = real.start("Backup")
    await_change(target, lambda: any(target.glob("*.partial")), "a backup under way")
    os.kill(service.status.process_id, signal.SIGKILL)
    assert real.await_end(service).win32_exit_code == 1067
    assert archives_of(target) == []
    os.truncate(real.folder / "left" / "large", 1000)
    service.start()
    await_change(target, lambda: bool(archives_of(target)), "the backup")
    assert [path.suffix for path in target.iterdir()] == [".zip"]


def test_two_folders_become_alike_and_keep_both_sides_of_a_conflict(real: RealScm) -> None:
    left, right = real.folder / "left", real.folder / "right"
    service = real.start("ContentSync", IntervalSeconds=1000)
    await_change(right, (right / "welcome.txt").exists, "the copy")
    (left / "welcome.txt").write_text("from the left")
    (right / "welcome.txt").write_text("from the right side")
    service.control(200)
    for folder in (left, right):
        other = folder / "welcome (conflict 1).txt"
        await_change(folder, other.exists, "the other copy")
    real.stop(service)
    for folder in (left, right):
        texts = {path.read_text() for path in folder.glob("welcome*")}
        assert texts == {"from the left", "from the right side"}


def test_the_web_api_tells_of_the_services(real: RealScm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    service = real.start("WebApi", Port=0)
    address = real.await_log("http://").split()[-1]
    with urllib.request.urlopen(f"{address}services", timeout=30) as answer:
        (told,) = (found for found in json.load(answer) if found["name"] == "WebApi")
    assert told["name"] == "WebApi"
    assert told["process_id"] == service.status.process_id
    real.stop(service)


def test_a_failure_is_noticed(real: RealScm) -> None:
    service = real.start("FileMonitor")
    real.start("Notifications")
    os.kill(service.status.process_id, signal.SIGKILL)
    real.await_log("FileMonitor stopped with error 1067")


def test_a_failure_is_noticed_after_the_manager_has_died(real: RealScm) -> None:
    service = real.start("FileMonitor")
    failing = service.status.process_id
    real.start("Notifications")
    os.kill(int(str(real.scm.status()["manager_pid"])), signal.SIGKILL)
    os.kill(failing, signal.SIGKILL)
    real.await_log("FileMonitor stopped with error 1067")


def test_parameters_take_effect_while_it_runs(real: RealScm) -> None:
    """ContentSync asks for its folders in each round."""
    service = real.start("ContentSync", IntervalSeconds=1000)
    await_change(real.folder / "right", (real.folder / "right" / "welcome.txt").exists, "the copy")
    service.parameters["Right"] = str(real.folder / "elsewhere")
    service.parameters["Left"] = str(real.folder / "somewhere")
    real.await_log("copied")
    service.control(200)
    await_change(
        real.folder, (real.folder / "elsewhere" / ".scmd-sync").exists, "the new folder's mark"
    )
