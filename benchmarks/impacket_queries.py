"""QueryServiceStatus by impacket, again and again.

`impacket_queries.py BINDING USER PASSWORD SERVICE COUNT [SMB-PORT]`: prints calls a second.
"""

from __future__ import annotations

import sys
import time

from impacket.dcerpc.v5 import scmr, transport
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_PRIVACY


def main(binding: str, user: str, password: str, name: str, count: str, port: str = "445") -> None:
    rpc = transport.DCERPCTransportFactory(binding)
    rpc.set_credentials(user, password)
    dce = rpc.get_dce_rpc()
    if binding.startswith("ncacn_ip_tcp"):
        dce.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_PRIVACY)
    else:
        rpc.set_dport(int(port))
    dce.connect()
    dce.bind(scmr.MSRPC_UUID_SCMR)
    scm = scmr.hROpenSCManagerW(dce, dwDesiredAccess=1)["lpScHandle"]
    service = scmr.hROpenServiceW(dce, scm, f"{name}\0", 4)["lpServiceHandle"]
    begin = time.perf_counter()
    for _ in range(int(count)):
        scmr.hRQueryServiceStatus(dce, service)
    print(int(count) / (time.perf_counter() - begin))


main(*sys.argv[1:])
