"""Remote administration: sealed status queries beside Samba's own, a long list, many clients."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.free_ports import free_port
from tests.remote.samba import PASSWORD, Samba

import scmd
from benchmarks.scratch import SCMD, scratch_scm, status
from benchmarks.table import Row

HERE = Path(__file__).parent
USER = "administrator"
CALLS = 10_000
IMPACKET_CALLS = 1_000
SERVICES = 10_000
ENUMERATIONS = 10
CLIENTS = 500
CLIENT_PROCESSES = 4
CLIENT_SECONDS = 15


def measure() -> list[Row]:
    """Five rows; needs root, smbd, python3-samba and impacket."""
    with tempfile.TemporaryDirectory(prefix="scmd-bench-") as folder:
        return _against_samba(Path(folder)) + _many_services() + _many_clients()


@contextmanager
def _reachable_scm() -> Iterator[str]:
    """A scratch SCM with one running service, at this TCP place."""
    place = f"127.0.0.1:{free_port()}"
    with scratch_scm():
        command = (SCMD, "remote", "adduser", USER, "--administrator")
        subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
        subprocess.run([SCMD, "remote", "enable", "--tcp", place], check=True, capture_output=True)
        with scmd.connect() as scm:
            scm.install("Spooler", ["/bin/sleep", "100000"])
            scm["Spooler"].start(wait=30)
        yield place


def _rate(python: str, script: str, binding: str, user: str, calls: int, port: int = 445) -> float:
    done = subprocess.run(
        [python, HERE / script, binding, user, PASSWORD, "Spooler", str(calls), str(port)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _against_samba(folder: Path) -> list[Row]:
    samba = Samba(folder)
    samba.prepare(front=False)
    samba.add_user("root")
    rows = []
    with samba.running(), _reachable_scm() as place:
        address, port = place.split(":")
        tcp = f"ncacn_ip_tcp:{address}[{port}"
        pipe = f"ncacn_np:{samba.address}[\\pipe\\svcctl"
        debians, own = "/usr/bin/python3", sys.executable
        clients = (
            ("python3-samba", debians, "samba_queries.py", CALLS, ",smb2]", ",seal]", 0.7),
            ("impacket", own, "impacket_queries.py", IMPACKET_CALLS, "]", "]", 1.0),
        )
        for name, python, script, calls, pipe_end, tcp_end, aim in clients:
            theirs = _rate(python, script, pipe + pipe_end, "root", calls, samba.port)
            ours = _rate(python, script, tcp + tcp_end, USER, calls)
            rows.append(
                Row(
                    f"sealed status queries, {name}",
                    f"{ours:,.0f}/s",
                    f"Samba, its pipe: {theirs:,.0f}/s",
                    f"{ours / theirs:.2f}",
                    f"{aim} times",
                    ours >= aim * theirs,
                )
            )
    return rows


def _many_services() -> list[Row]:
    """CPU of the manager for one enumeration of all, sealed, in as many answers as it takes."""
    with _reachable_scm() as place, scmd.connect() as local:
        for number in range(SERVICES - 1):
            local.create(f"Service{number:05}", "/bin/true", display=f"The service {number:05}")
        manager = int(status()["manager_pid"])
        with scmd.connect(f"//{place}", user=USER, password=PASSWORD) as scm:
            assert len(scm.services()) >= SERVICES
            before = _cpu_ms(manager)
            for _ in range(ENUMERATIONS):
                scm.services()
            spent = (_cpu_ms(manager) - before) / ENUMERATIONS
    text = f"{spent:.0f} ms of server CPU"
    return [Row(f"enumeration of {SERVICES:,} services", text, "", "", "150 ms", spent < 150)]


def _cpu_ms(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _many_clients() -> list[Row]:
    with _reachable_scm() as place:
        arguments = [f"//{place}", USER, PASSWORD, "Spooler"]
        numbers = [str(CLIENTS // CLIENT_PROCESSES), str(CLIENT_SECONDS)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.many_clients", *arguments, *numbers],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(CLIENT_PROCESSES)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
        answers = [process.communicate("go\n")[0] for process in processes]
    latencies = [latency for answer in answers for latency in json.loads(answer)]
    p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
    asked = CLIENTS * 4 * CLIENT_SECONDS
    return [
        Row(
            f"{CLIENTS} clients, 4 sealed calls a second each",
            f"p99 {p99:.1f} ms",
            f"(p50 {p50:.1f} ms, {len(latencies):,} of {asked:,} calls)",
            "",
            "p99 under 50 ms",
            p99 < 50 and len(latencies) > 0.95 * asked,
        )
    ]
