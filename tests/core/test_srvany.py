"""What a hosted program's Parameters mean, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from scmd.core import limits, srvany
from scmd.core.messages import ServiceId
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.registry import RegistryType, RegistryValue


def plan(**values: Any) -> srvany.Plan:
    if "APPLICATION" not in values:
        values["Application"] = "/bin/program"
    parameters = {
        name.replace("/", "\\"): value
        if isinstance(value, RegistryValue)
        else RegistryValue.of(value)
        for name, value in values.items()
    }
    config = ServiceConfig(name="Web", account="LocalService")
    return srvany.plan(ServiceId(3), config, parameters)


@pytest.mark.parametrize(
    ("image_path", "hosted"),
    [
        ("srvany", True),
        ("SrvAny.EXE", True),
        ('"/usr/lib/scmd/srvany" extra', True),
        ("C:\\tools\\srvany.exe", True),
        ('"C:\\tools\\srvany.exe" x', True),
        ("/bin/srvany2", False),
        ("/bin/sh srvany", False),
        ("", False),
    ],
)
def test_who_is_hosted(image_path: str, hosted: bool) -> None:
    assert srvany.is_hosted(image_path) is hosted


def test_defaults() -> None:
    made = plan()
    spec = made.spec
    assert (spec.service, spec.name, spec.account) == (3, "Web", "LocalService")
    assert spec.argv == ("/bin/program",)
    assert (spec.directory, spec.environment, spec.extra_environment) == (None, None, ())
    assert (spec.umask, spec.nice, spec.affinity, spec.limits) == (None, None, (), ())
    assert (made.stop_signal, made.stop_time, made.settle_time) == (15, 20_000, 0)
    assert made.kill_tree
    assert (spec.log_timestamps, spec.log_name) == (False, False)


def test_everything_at_once_and_names_without_case() -> None:
    made = plan(
        APPLICATION="/usr/bin/nginx",
        appparameters='-g "daemon off;"',
        AppDirectory="/srv",
        AppEnvironment=("A=1", "B=x=y"),
        AppEnvironmentExtra=("C=",),
        AppStopSignal="quit",
        AppStopTime="1500",
        AppSettleTime=7,
        AppKillProcessTree=0,
        apptimestamplog="1",
        AppLogName=1,
        AppUmask="027",
        AppNice="-5",
        AppAffinity="0,2-3",
        **{"AppLimit/NOFILE": 4096, "AppLimit/core": "unlimited", "Other": b"\0"},
        **{"AppLimit/memorymax": "1M", "AppLimit/CPUQuota": "150%", "AppLimit/TasksMax": "-1"},
    )
    spec = made.spec
    assert spec.argv == ("/usr/bin/nginx", "-g", "daemon off;")
    assert spec.directory == "/srv"
    assert (spec.log_timestamps, spec.log_name) == (True, True)
    assert spec.environment == (("A", "1"), ("B", "x=y"))
    assert spec.extra_environment == (("C", ""),)
    assert (made.stop_signal, made.stop_time, made.settle_time) == (3, 1500, 7)
    assert not made.kill_tree
    assert (spec.umask, spec.nice, spec.affinity) == (0o27, -5, (0, 2, 3))
    assert spec.limits == (("CORE", limits.UNLIMITED), ("NOFILE", 4096))
    assert spec.shares == (("CPUQuota", 150), ("MemoryMax", 1 << 20))


LEGAL: tuple[tuple[str, Any, Any], ...] = (
    *[("AppStopSignal", text, 15) for text in ("SIGTERM", "TERM", "term", "15", 15)],
    ("AppUmask", 0o22, 0o22),
    ("AppNice", 19, 19),
    ("AppNice", 0xFFFFFFEC, -20),
    ("AppAffinity", "All", ()),
    ("AppAffinity", 0b101, (0, 2)),
    ("AppLimit\\NOFILE", 2**64 - 1, ("NOFILE", -1)),
    ("AppLimit\\RLIMIT_NOFILE", 5, ("NOFILE", 5)),
    ("AppLimit\\MemoryMax", 4096, ("MemoryMax", 4096)),
    ("AppLimit\\memorymax", "2 g", ("MemoryMax", 2 << 30)),
    ("AppLimit\\MemoryMax", "512MiB", ("MemoryMax", 512 << 20)),
    ("AppLimit\\MemoryMax", "infinity", ("MemoryMax", -1)),
    ("AppLimit\\CPUQuota", "20%", ("CPUQuota", 20)),
    ("AppLimit\\CPUQuota", 250, ("CPUQuota", 250)),
    ("AppLimit\\CPUWeight", "10000", ("CPUWeight", 10000)),
    ("AppLimit\\TasksMax", 1, ("TasksMax", 1)),
    ("AppEnvironment", "A=1", (("A", "1"),)),
)


@pytest.mark.parametrize(("name", "data", "meaning"), LEGAL)
def test_spellings(name: str, data: Any, meaning: Any) -> None:
    reader = srvany._reader(name.upper())
    assert reader is not None
    assert reader(name, RegistryValue.of(data)) == meaning


ILLEGAL: tuple[tuple[str, Any], ...] = (
    ("Application", "bin/program"),
    ("Application", 5),
    ("AppDirectory", "relative"),
    ("AppParameters", ("a", "b")),
    ("AppEnvironment", ("novalue",)),
    ("AppEnvironmentExtra", ("=x",)),
    ("AppEnvironmentExtra", 5),
    ("AppStopSignal", "SIGNONSENSE"),
    ("AppStopSignal", 0),
    ("AppStopSignal", 65),
    ("AppStopTime", "soon"),
    ("AppStopTime", 2**31),
    ("AppSettleTime", b"x"),
    ("AppUmask", "999"),
    ("AppUmask", 0o1000),
    ("AppNice", "20"),
    ("AppNice", "low"),
    ("AppAffinity", "3-1"),
    ("AppAffinity", "x"),
    ("AppAffinity", "0-99999"),
    ("AppLimit\\NONSENSE", 1),
    ("AppLimit\\NOFILE", "many"),
    ("AppLimit\\MemoryMax", 0),
    ("AppLimit\\MemoryMax", "512X"),
    ("AppLimit\\MemoryMax", "KM"),
    ("AppLimit\\MemoryMax", ("1", "2")),
    ("AppLimit\\CPUQuota", "0%"),
    ("AppLimit\\CPUQuota", "half"),
    ("AppLimit\\CPUWeight", 10001),
    ("AppLimit\\TasksMax", "0"),
    ("AppLimit\\NOFILE", "-2"),
    ("AppEvents\\Start\\Pre", "relative"),
    ("AppEvents\\Exit\\Post", 5),
    ("AppThrottle", "9" * 5000),
    ("AppStopSignal", "9" * 5000),
    ("AppReady", "tcp:" + "9" * 5000),
    ("AppNice", "9" * 5000),
)


@pytest.mark.parametrize(("name", "data"), ILLEGAL)
def test_illegal_values_name_themselves(name: str, data: Any) -> None:
    with pytest.raises(Refused) as caught:
        srvany.check_parameters({name: RegistryValue.of(data)})
    assert caught.value.error == Error.INVALID_PARAMETER
    assert caught.value.detail.startswith(f"{name}: expected ")


@pytest.mark.parametrize("name", sorted(srvany.READERS))
def test_every_name_refuses_bytes(name: str) -> None:
    value = RegistryValue(type=RegistryType.BINARY, data=b"\xff")
    with pytest.raises(Refused):
        srvany.check_parameters({name: value})


def test_no_application_is_file_not_found() -> None:
    with pytest.raises(Refused) as caught:
        srvany.plan(ServiceId(1), ServiceConfig(name="A"), {})
    assert caught.value.error == Error.FILE_NOT_FOUND


def test_hooks_run_as_the_program_does() -> None:
    made = plan(**{"AppEvents/Start/Pre": "/bin/pre a", "AppDirectory": "/srv"})
    assert made.start_pre is not None
    assert made.start_pre.argv == ("/bin/pre", "a")
    assert (made.start_pre.account, made.start_pre.directory) == ("LocalService", "/srv")
    assert (made.start_post, made.stop_pre, made.exit_post) == (None, None, None)
