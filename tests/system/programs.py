"""Service programs of the tests: some behave, some lie. Run by the SCM, not imported.

`python -I -m`-free: each is written to a file in the test's folder, as a user would.
"""

from __future__ import annotations

import sys
from pathlib import Path

PYTHON = sys.executable

# The service in 8 lines, with a tick a test can wait for.
CLOCK = """\
import scmd

@scmd.service("Clock", display="The clock", description="Says the time.")
def clock(svc):
    svc.ready()
    while not svc.wait(0.01):
        svc.log.info("tick")

if __name__ == "__main__":
    clock.main()
"""

# Takes controls of its own, shows its arguments, parameters and how it ends.
ODD_JOBS = """\
import scmd

@scmd.service("OddJobs", accepts=("stop", "pause", "paramchange"))
def jobs(svc):
    print("arguments", *svc.args, flush=True)
    svc.parameters.on_change(lambda: print("port", svc.parameters.get("Port"), flush=True))
    svc.ready()
    svc.wait()
    code = int(svc.parameters.get("Code", 0))
    if code == 1064:
        raise LookupError("lost")
    if code:
        raise scmd.ServiceExit(code)

@jobs.on(200)
def answer(svc):
    print("two hundred", flush=True)

if __name__ == "__main__":
    jobs.main()
"""

PAIR = """\
import os, scmd

@scmd.service("First")
def first(svc):
    print("first in", os.getpid(), flush=True)
    svc.ready()
    svc.wait()

@scmd.service("Second")
def second(svc):
    print("second in", os.getpid(), flush=True)
    svc.ready()
    svc.wait()

if __name__ == "__main__":
    scmd.run(first, second)
"""

# Reports what it is told: control 128 + N is state N, and RUNNING again after it; 129 is STOPPED.
OBEDIENT = """\
import sys, threading
from scmd import winsvc

over = threading.Event()


def handler(control, event_type, data, context):
    if control == 1:
        control = 129
    if control > 128:
        for state in (1,) if control == 129 else (control - 128, 4):
            report(state)
    if control == 129:
        over.set()
    return 0


def report(state):
    winsvc.SetServiceStatus(handle, winsvc.ServiceStatus(
        type=0x10, state=state, controls_accepted=3 if state == 4 else 0,
        wait_hint=60_000 if state in (2, 3, 5, 6) else 0))


def main(arguments):
    global handle
    handle = winsvc.RegisterServiceCtrlHandlerEx(arguments[0], handler)
    report(4)
    over.wait()


winsvc.StartServiceCtrlDispatcher([(sys.argv[1], main)])
"""

# Speaks the control protocol byte by byte; what it does wrong is its argument.
LIAR = '''\
import os, socket, struct, sys, time

channel = socket.socket(fileno=int(os.environ["SCMD_CONTROL_FD"]))
kind = sys.argv[1]


def strings(*texts):
    parts = [struct.pack("<I", len(texts))]
    for text in texts:
        parts.append(struct.pack("<I", len(text)) + text)
    return b"".join(parts)


def packet(kind, body, flags=0):
    channel.send(struct.pack("<BBH", kind, flags, 0) + body)


def status(service, state, accepts=1, sequence=1, type=0x10, check_point=0, hint=0, exit=0):
    body = struct.pack("<IQ7I", service, sequence, type, state, accepts, exit, 0, check_point, hint)
    packet(5, body)


def receive(wanted):
    while True:
        data = channel.recv(32768)
        if not data:
            sys.exit(0)
        if data[0] == wanted:
            return data[4:]


def hello():
    packet(1, struct.pack("<I", 1) + strings(b"Liar"))


def started():
    hello()
    service = struct.unpack_from("<I", receive(130))[0]
    packet(2, struct.pack("<II", service, 0))
    packet(3, struct.pack("<I", service))
    return service


def serve(service):
    """Stop when told to."""
    while True:
        _, control, code = struct.unpack_from("<IQI", receive(131))
        packet(4, struct.pack("<IQ", 0, control))
        if code == 1:
            status(service, 1)
            sys.exit(0)


def never_connects():
    time.sleep(1000)


def exits_early():
    sys.exit(7)


def sends_nonsense():
    channel.send(b"nonsense")
    time.sleep(1000)


def sends_nonsense_later():
    service = started()
    status(service, 4)
    channel.send(b"\\xff" * 100)
    time.sleep(1000)


def sends_long_packets():
    service = started()
    status(service, 4)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    channel.send(bytes([6]) + b"x" * 100_000)
    time.sleep(1000)


def never_ends_a_message():
    service = started()
    status(service, 4)
    while True:
        packet(6, b"x" * 32_000, flags=1)


def closes_its_socket():
    service = started()
    status(service, 4)
    channel.close()
    time.sleep(1000)


def never_answers_start():
    hello()
    receive(130)
    time.sleep(1000)


def never_reports():
    started()
    time.sleep(1000)


def never_answers_controls():
    service = started()
    status(service, 4)
    receive(131)
    time.sleep(1000)


def reports_nonsense():
    service = started()
    status(service, 99)
    status(service, 0)
    status(service, 4, accepts=0xFFFFFFFF)
    status(service, 4, type=0x77777)
    status(service, 4)
    print("reported", flush=True)
    serve(service)


def lies_about_others():
    service = started()
    status(service, 4)
    for other in [*range(service + 1, service + 50), *range(service), 0xFFFFFFFF]:
        status(other, 1, exit=1)
        packet(2, struct.pack("<II", other, 1054))
        packet(3, struct.pack("<I", other))
        packet(6, struct.pack("<IHHI", other, 1, 0, 1) + strings(b"a lie"))
    for control in range(100):
        packet(4, struct.pack("<IQ", 5, control))
    print("lied", flush=True)
    serve(service)


def floods():
    service = started()
    for number in range(1, 20_001):
        status(service, 2, accepts=0, sequence=number, check_point=number, hint=60_000)
    status(service, 4, sequence=20_001)
    serve(service)


def lingers():
    service = started()
    status(service, 4)
    receive(131)
    status(service, 1)
    status(service, 4)
    time.sleep(1000)


def denies_controls():
    service = started()
    status(service, 4)
    _, control, code = struct.unpack_from("<IQI", receive(131))
    packet(4, struct.pack("<IQ", 1234, control))
    serve(service)


globals()[kind]()
'''


def write(folder: Path, name: str, text: str) -> str:
    """A program in a file; its path."""
    path = folder / name
    path.write_text(text)
    return str(path)
