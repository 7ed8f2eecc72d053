"""QueryServiceStatus by python3-samba, again and again; for Debian's Python.

`samba_queries.py BINDING USER PASSWORD SERVICE COUNT [SMB-PORT]`: prints calls a second.
"""

import sys
import time

import samba.param  # type: ignore[import-not-found] # Debian's Python has it
from samba.credentials import Credentials  # type: ignore[import-not-found] # likewise
from samba.dcerpc import svcctl  # type: ignore[import-not-found] # likewise


def main(binding: str, user: str, password: str, name: str, count: str, port: str = "445") -> None:
    parameters = samba.param.LoadParm()
    parameters.set("smb ports", port)
    credentials = Credentials()
    credentials.guess(parameters)
    credentials.set_username(user)
    credentials.set_password(password)
    connection = svcctl.svcctl(binding, parameters, credentials)
    scm = connection.OpenSCManagerW(None, None, 1)
    service = connection.OpenServiceW(scm, name, 4)
    query = connection.QueryServiceStatus
    for _ in range(100):
        query(service)
    begin = time.perf_counter()
    for _ in range(int(count)):
        query(service)
    print(int(count) / (time.perf_counter() - begin))


main(*sys.argv[1:])
