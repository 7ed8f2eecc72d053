"""One call with impacket at each level and by a mechanism; a program, for impacket's warnings.

`impacket_security.py BINDING USER PASSWORD LEVELS [REALM]`: a connection for each of the LEVELS,
such as 2,4,5; with a REALM by Kerberos, inside SPNEGO and with the tickets of KRB5CCNAME; else by
NTLM. Prints the number of services, or why not, a line for each.
"""

from __future__ import annotations

import sys

from impacket.dcerpc.v5 import scmr, transport
from impacket.dcerpc.v5.rpcrt import (
    RPC_C_AUTHN_GSS_NEGOTIATE,
    RPC_C_AUTHN_WINNT,
    DCERPCException,
)


def main(binding: str, user: str, password: str, levels: str, realm: str = "") -> None:
    for level in levels.split(","):
        call(binding, user, password, int(level), realm)


def call(binding: str, user: str, password: str, level: int, realm: str) -> None:
    rpc = transport.DCERPCTransportFactory(binding)
    rpc.set_credentials(user, password, realm)
    rpc.set_kerberos(bool(realm))
    dce = rpc.get_dce_rpc()
    dce.set_auth_type(RPC_C_AUTHN_GSS_NEGOTIATE if realm else RPC_C_AUTHN_WINNT)
    dce.set_auth_level(level)
    dce.connect()
    try:
        dce.bind(scmr.MSRPC_UUID_SCMR)
        scm = scmr.hROpenSCManagerW(dce)["lpScHandle"]
        print(len(scmr.hREnumServicesStatusW(dce, scm)))
    except DCERPCException as error:
        print(error)


main(*sys.argv[1:])
