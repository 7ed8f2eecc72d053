"""Web API: the state of the machine and of its services, as JSON over HTTP.

    /status          host name, uptime, load, memory, disk
    /services        all services with their states
    /services/NAME   one of them

Parameters:
    Address  where to listen (default 127.0.0.1; there is no access control, so think twice)
    Port     default 8180

It only reads. A request that names another host than the one listened on is refused, so that
web pages cannot ask it by a name of their own that leads here.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import select
import shutil
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import scmd

NO_SUCH_SERVICE = (123, 1060)
"""ERROR_INVALID_NAME, ERROR_SERVICE_DOES_NOT_EXIST."""


class NotFound(Exception):
    """There is nothing of that name."""


def machine_status() -> dict[str, object]:
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    disk = shutil.disk_usage("/")
    return {
        "host": socket.gethostname(),
        "uptime_s": float(Path("/proc/uptime").read_text().split()[0]),
        "load": os.getloadavg(),
        "cpus": os.cpu_count(),
        "memory_total_kib": int(memory["MemTotal"].split()[0]),
        "memory_available_kib": int(memory["MemAvailable"].split()[0]),
        "disk_total_bytes": disk.total,
        "disk_free_bytes": disk.free,
    }


def service_status(name: str, status: scmd.ServiceStatus) -> dict[str, object]:
    return {
        "name": name,
        "state": scmd.ServiceState(status.state).name,
        "process_id": status.process_id,
        "win32_exit_code": status.win32_exit_code,
        "service_specific_exit_code": status.service_specific_exit_code,
    }


def answer(path: str) -> object:
    """What a GET of the path is answered with. NotFound, scmd.WinError, OSError."""
    try:
        parts = urlsplit(path).path.strip("/").split("/")
    except ValueError as error:
        raise NotFound(path) from error
    match [unquote(part) for part in parts]:
        case [""]:
            return {"paths": ["/status", "/services", "/services/NAME"]}
        case ["status"]:
            return machine_status()
        case ["services"]:
            with scmd.connect() as scm:
                return [service_status(each.name, each.last_status) for each in scm.services()]
        case ["services", name]:
            with scmd.connect() as scm:
                return service_status(name, scm[name].status)
        case _:
            raise NotFound(path)


class Handler(BaseHTTPRequestHandler):
    """One connection; each has a thread of its own."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    log: logging.Logger

    def do_GET(self) -> None:
        if not self.is_for_us(self.headers.get("Host", "")):
            self.reply(HTTPStatus.MISDIRECTED_REQUEST, {"error": "this is not that host"})
            return
        try:
            self.reply(HTTPStatus.OK, answer(self.path))
        except NotFound:
            self.reply(HTTPStatus.NOT_FOUND, {"error": "there is no such path; / lists them"})
        except scmd.WinError as error:
            is_missing = error.winerror in NO_SUCH_SERVICE
            status = HTTPStatus.NOT_FOUND if is_missing else HTTPStatus.SERVICE_UNAVAILABLE
            self.reply(status, {"error": error.strerror, "winerror": error.winerror})
        except OSError as error:
            self.reply(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})

    do_HEAD = do_GET

    def is_for_us(self, host: str) -> bool:
        """An address is no name that somebody else could have given us."""
        name = host.rsplit(":", 1)[0].strip("[]").lower()
        if name in ("localhost", socket.gethostname().lower()):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def reply(self, status: HTTPStatus, body: object) -> None:
        data = json.dumps(body, indent=2).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        self.log.debug("%s %s", self.address_string(), format % args)


def make_server(address: str, port: int, log: logging.Logger) -> ThreadingHTTPServer:
    """Listens already; port 0 takes a free one. OSError: it cannot."""
    handler = type("Handler", (Handler,), {"log": log})
    server = ThreadingHTTPServer((address, port), handler)
    server.daemon_threads = True
    # A client that gives up before it is accepted must not hold up the others.
    server.socket.setblocking(False)
    server.timeout = 0
    return server


def serve(server: ThreadingHTTPServer, stopped: int) -> None:
    """Until the write end of `stopped` is closed; no wake-ups in between."""
    while stopped not in select.select([server.fileno(), stopped], [], [])[0]:
        server.handle_request()


@scmd.service("WebApi", display="Web API", description="The state of this machine as JSON.")
def web_api(svc: scmd.ServiceContext) -> None:
    address = svc.parameters.get("Address", "127.0.0.1")
    try:
        server = make_server(address, int(svc.parameters.get("Port", 8180)), svc.log)
    except OSError as error:
        svc.log.error("Cannot listen: %s", error)
        raise scmd.ServiceExit(error.errno or 1) from error
    stopped, stop = os.pipe()
    thread = threading.Thread(target=serve, args=(server, stopped))
    thread.start()
    svc.ready()
    svc.log.info("http://%s:%d/", *server.server_address[:2])
    svc.wait()
    os.close(stop)
    thread.join()
    server.server_close()
    os.close(stopped)


if __name__ == "__main__":
    web_api.main()
