"""From credentials to the security context of a connection by TCP."""

from __future__ import annotations

import os
import time

from scmd.client.connection import ConnectionFailed
from scmd.rpc.security.initiation import Initiation
from scmd.rpc.security.provider import KERBEROS, NTLM, PRIVACY, SecurityError
from scmd.vocabulary.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.credentials import Credentials
    from scmd.client.hosts import Host
    from scmd.rpc.security.provider import Initiator


def initiation(credentials: Credentials, host: Host) -> Initiation:
    """A context of its own for each connection. ConnectionFailed: it cannot be begun.

    Without a password whom the Kerberos ticket is for.
    """
    if credentials.password is None:
        return Initiation(_kerberos(host), KERBEROS, PRIVACY)
    try:
        from scmd.rpc.security import ntlm_initiator
        from scmd.rpc.security.md4 import nt_hash
        from scmd.rpc.security.ntlm_messages import filetime
    except ImportError as error:
        text = (
            f"TCP needs a package that is not installed ({error.name}): pip install 'scmd[remote]'"
        )
        raise ConnectionFailed(Error.NOT_SUPPORTED, "OpenSCManager", text) from error
    domain, user = credentials.domain_and_name
    mechanism = ntlm_initiator.NtlmInitiator(
        ntlm_initiator.Credentials(user=user, domain=domain, nt_hash=nt_hash(credentials.password)),
        randomness=os.urandom(24),
        now=filetime(time.time()),
    )
    return Initiation(mechanism, NTLM, PRIVACY)


def _kerberos(host: Host) -> Initiator:
    try:
        from scmd.transport.kerberos import KerberosInitiator

        return KerberosInitiator(f"host@{host.name}")
    except (SecurityError, OSError) as error:
        text = (
            f"{host}: no password was given, and there is no Kerberos ticket to use ({error}): "
            "-U USER%PASSWORD, -A FILE, or kinit"
        )
        raise ConnectionFailed(Error.ACCESS_DENIED, "OpenSCManager", text) from error
