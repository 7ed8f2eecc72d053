from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator

import pytest

import scmd
from scmd import ServiceState, ServiceStatus
from scmd.examples import web_api as example
from tests.examples.conftest import Start
from tests.examples.support import Host

WEB = ServiceStatus(state=ServiceState.RUNNING, process_id=12)


class FakeService:
    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def status(self) -> ServiceStatus:
        if "/" in self.name:
            raise scmd.WinError(123)
        if self.name != "Web":
            raise scmd.WinError(1060)
        return WEB

    last_status = status


class FakeScm:
    """An SCM with one service, Web."""

    def __enter__(self) -> FakeScm:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def services(self) -> list[FakeService]:
        return [FakeService("Web")]

    def __getitem__(self, name: str) -> FakeService:
        return FakeService(name)


@pytest.fixture
def api(start: Start, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(scmd, "connect", FakeScm)
    host = start(example.web_api, Port=0)
    yield host
    assert host.stop().win32_exit_code == 0


def get(host: Host, path: str, method: str = "GET", **headers: str) -> tuple[int, object]:
    match = re.search(r"http://([\d.]+):(\d+)/", host.entry("http://"))
    assert match is not None
    connection = http.client.HTTPConnection(match[1], int(match[2]), timeout=20)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = json.loads(response.read() or b"null")
    connection.close()
    return response.status, body


def test_the_status_of_the_machine_is_told(api: Host) -> None:
    status, body = get(api, "/status")
    assert status == 200
    assert isinstance(body, dict)
    assert 0 < body["memory_available_kib"] < body["memory_total_kib"]


def test_services_are_told(api: Host) -> None:
    status, body = get(api, "/services")
    assert status == 200
    assert body == [
        {
            "name": "Web",
            "state": "RUNNING",
            "process_id": 12,
            "win32_exit_code": 0,
            "service_specific_exit_code": 0,
        }
    ]


def test_one_service_is_told(api: Host) -> None:
    status, body = get(api, "/services/Web?x=y")
    assert isinstance(body, dict)
    assert (status, body["name"]) == (200, "Web")


def test_a_service_that_is_not_there_is_404_with_the_error(api: Host) -> None:
    status, body = get(api, "/services/No%20such")
    assert isinstance(body, dict)
    assert (status, body["winerror"]) == (404, 1060)


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/services/a/b", "/services/a%2Fb", "//status/x", "/../etc/passwd"),
        *("http://[bad/", "*"),
    ],
)
def test_other_paths_are_404(api: Host, path: str) -> None:
    assert get(api, path, Host="localhost")[0] == 404


@pytest.mark.parametrize(("path", "status"), [("/status", 200), ("/nope", 404)])
def test_a_head_has_no_body(api: Host, path: str, status: int) -> None:
    assert get(api, path, "HEAD") == (status, None)


def test_a_request_by_a_foreign_name_is_refused(api: Host) -> None:
    assert get(api, "/status", Host="evil.example:80")[0] == 421


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1:8180", "[::1]:80"])
def test_a_request_by_our_names_is_answered(api: Host, name: str) -> None:
    assert get(api, "/status", Host=name)[0] == 200


def test_without_an_scm_it_says_so(api: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> FakeScm:
        raise FileNotFoundError("no SCM")

    monkeypatch.setattr(scmd, "connect", fail)
    assert get(api, "/services") == (503, {"error": "no SCM"})


def test_a_port_that_is_taken_ends_the_service_with_the_errno() -> None:
    import errno
    import logging

    with example.make_server("127.0.0.1", 0, logging.getLogger(__name__)) as server:
        port = server.server_address[1]
        with pytest.raises(OSError) as error:
            example.make_server("127.0.0.1", port, logging.getLogger(__name__))
    assert error.value.errno == errno.EADDRINUSE
