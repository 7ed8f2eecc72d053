"""One call with impacket, at a level and by a mechanism; a program of its own, for its warnings.

`impacket_security.py BINDING USER PASSWORD LEVEL [REALM]`: with a REALM by Kerberos, inside SPNEGO
and with the tickets of KRB5CCNAME; else by NTLM. Prints the number of services, or why not.
"""

from __future__ import annotations

import sys

from impacket.dcerpc.v5 import scmr, transport
from impacket.dcerpc.v5.rpcrt import (
    RPC_C_AUTHN_GSS_NEGOTIATE,
    RPC_C_AUTHN_WINNT,
    DCERPCException,
)


def main(binding: str, user: str, password: str, level: str, realm: str = "") -> None:
    rpc = transport.DCERPCTransportFactory(binding)
    rpc.set_credentials(user, password, realm)
    rpc.set_kerberos(bool(realm))
    dce = rpc.get_dce_rpc()
    dce.set_auth_type(RPC_C_AUTHN_GSS_NEGOTIATE if realm else RPC_C_AUTHN_WINNT)
    dce.set_auth_level(int(level))
    dce.connect()
    try:
        dce.bind(scmr.MSRPC_UUID_SCMR)
        scm = scmr.hROpenSCManagerW(dce)["lpScHandle"]
        print(len(scmr.hREnumServicesStatusW(dce, scm)))
    except DCERPCException as error:
        print(error)


main(*sys.argv[1:])
