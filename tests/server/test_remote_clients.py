"""Other people's clients over TCP, at every level, against the real core."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scmd.rpc import binds
from scmd.rpc.binds import NDR64_SYNTAX, NDR_SYNTAX
from scmd.rpc.mgmt import MGMT
from scmd.rpc.security.provider import CONNECT, INTEGRITY, PACKET, PRIVACY
from scmd.scmd_interface.operations import SCMD
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.errors import Error
from tests.server.remote import PASSWORD, USER, listening

CREDENTIALS = """
import json, sys
from samba import credentials, param
from samba.dcerpc import mgmt, svcctl
binding, user, password = sys.argv[1:]
lp = param.LoadParm()
creds = credentials.Credentials()
creds.guess(lp)
creds.set_username(user)
creds.set_password(password)
creds.set_domain("ELSEWHERE")
creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
"""
SPEAKING = """
answer = {}
try:
    scm = svcctl.svcctl(binding, lp, creds)
    handle = scm.OpenSCManagerW(None, None, 0xF003F)
    lock = scm.LockServiceDatabase(handle)
    scm.UnlockServiceDatabase(lock)
    scm.CloseServiceHandle(handle)
    other = mgmt.mgmt(binding, lp, creds)
    answer["ids"] = [str(i.id.uuid) for i in other.inq_if_ids().if_id]
    answer["listening"] = other.is_server_listening()[1]
    # In NDR64 its inq_stats is another one than [C706]'s: a structure.
    if "ndr64" not in binding:
        answer["statistics"] = len(other.inq_stats(4, 0).statistics)
    other.stop_server_listening()
except Exception as error:
    answer["error"] = error.args[0]
print(json.dumps(answer))
"""

OPTIONS = {
    "sign": INTEGRITY,
    "seal": PRIVACY,
    "ntlm,sign": INTEGRITY,
    "ntlm,seal": PRIVACY,
    "spnego,seal,bigendian": PRIVACY,
    "spnego,seal,ndr64": PRIVACY,
    "ntlm,packet": PACKET,
    "packet": PACKET,
    "connect": CONNECT,
}


def samba(script: str, port: int, options: str, password: str = PASSWORD) -> Any:
    """What a script of python3-samba's says at last."""
    binding = f"ncacn_ip_tcp:127.0.0.1[{port},{options}]"
    program = ("/usr/bin/python3", "-W", "ignore", "-c", CREDENTIALS + script)
    done = subprocess.run(
        [*program, binding, USER, password], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.peers("smbtorture")
@pytest.mark.parametrize("options", OPTIONS)
def test_samba_speaks_at_every_level(options: str) -> None:
    with listening(minimum_level=OPTIONS[options]) as port:
        answer = samba(SPEAKING, port.number, options)
        # To stop the server is refused, last of all.
        assert answer["error"] == Error.ACCESS_DENIED, (answer, port.refusals)
        assert answer["ids"] == [str(i.uuid) for i in (SVCCTL, SCMD, MGMT)]
        assert answer["listening"] == 1
        assert answer.get("statistics", 4) == 4
        assert {identity.user for identity in port.identities} == {USER}
        assert not port.refusals


@pytest.mark.peers("smbtorture")
@pytest.mark.parametrize(
    ("options", "password", "error"),
    [
        ("spnego,seal", "wrong", 0xC000_006D),  # STATUS_LOGON_FAILURE, told by bind_nak or fault
        ("ntlm,seal", "wrong", 0xC000_0022),  # STATUS_ACCESS_DENIED, at the first call
        ("sign", PASSWORD, 0xC000_0022),
        ("connect", PASSWORD, 0xC000_0022),
    ],
)
def test_samba_is_refused(options: str, password: str, error: int) -> None:
    with listening(minimum_level=PRIVACY) as port:
        assert samba(SPEAKING, port.number, options, password) == {"error": error}


GROUPS = """
def joined(group):
    return svcctl.svcctl(binding.replace("]", group + "]"), lp, creds)
def locked(connection, handle):
    try:
        connection.LockServiceDatabase(handle)
    except Exception as error:
        return error.args[0]
    return 0
first = joined("")
handle = first.OpenSCManagerW(None, None, 0xF003F)
second = joined(",assoc_group_id=0x00000001")
other = joined("")
own = other.OpenSCManagerW(None, None, 0xF003F)
said = [locked(other, handle)]
del first
said += [locked(second, handle), locked(other, own)]
del second
while locked(other, own):
    pass  # Until the server has heard of its end.
print(json.dumps(said))
"""


@pytest.mark.peers("smbtorture")
def test_handles_are_the_association_groups() -> None:
    """The first one's: it is as good on the second connection, and ends with that."""
    with listening() as port:
        said = samba(GROUPS, port.number, "seal")
    foreign = 0xC003_0005  # RPC_NT_SS_CONTEXT_MISMATCH
    assert said == [foreign, 0, Error.SERVICE_DATABASE_LOCKED]


@contextmanager
def impacket(port: int, level: int, password: str = PASSWORD) -> Iterator[Any]:
    """A connection of impacket's, not bound yet."""
    from impacket.dcerpc.v5 import transport

    tcp = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:127.0.0.1[{port}]")
    tcp.set_credentials(USER, password, "")
    dce = tcp.get_dce_rpc()
    dce.set_auth_level(level)
    dce.connect()
    try:
        yield dce
    finally:
        tcp.get_socket().close()


@pytest.mark.parametrize("level", [CONNECT, INTEGRITY, PRIVACY])
@pytest.mark.parametrize("syntax", [NDR_SYNTAX, NDR64_SYNTAX])
def test_impacket_speaks_at_every_level(level: int, syntax: binds.Syntax) -> None:
    from impacket.dcerpc.v5 import mgmt, scmr

    transfer = (str(syntax.uuid), f"{syntax.version}.0")
    with listening(minimum_level=level) as port:
        with impacket(port.number, level) as dce:
            dce.bind(scmr.MSRPC_UUID_SCMR, transfer_syntax=transfer)
            scm = scmr.hROpenSCManagerW(dce, "DUMMY\0", "ServicesActive\0", 0x3F)["lpScHandle"]
            # Fragments of seven bytes, each with its signature; the answer has more than one too.
            dce.set_max_fragment_size(7)
            path = f"/bin/web {3000 * 'x'}\0"
            made = scmr.hRCreateServiceW(dce, scm, "Web\0", "W\0", lpBinaryPathName=path)
            answer = scmr.hRQueryServiceConfigW(dce, made["lpServiceHandle"])
            assert answer["lpServiceConfig"]["lpBinaryPathName"] == path
            # In a security context of its own, where there is one.
            other = dce.alter_ctx(mgmt.MSRPC_UUID_MGMT)
            assert mgmt.hinq_if_ids(other)["if_id_vector"]["count"] == 3
            assert mgmt.hinq_stats(other)["count"] == 4
        assert not port.refusals


def test_impacket_with_a_wrong_password_is_denied() -> None:
    from impacket.dcerpc.v5 import scmr
    from impacket.dcerpc.v5.rpcrt import DCERPCException

    with listening() as port:
        with impacket(port.number, PRIVACY, password="wrong") as dce:
            dce.bind(scmr.MSRPC_UUID_SCMR)
            with pytest.raises(DCERPCException, match="rpc_s_access_denied"):
                scmr.hROpenSCManagerW(dce)
        assert "password is wrong" in port.refusals[0]


OMITTED = (
    # They need netlogon, lsarpc or a ticket.
    "(krb5|lsa)_.*|assoc_group_(ok2|fail3)|(first|2nd|last|none|mix|fragmented)_.*|"
    # They wait in vain, for what goes with `DIFFERENT`.
    "orphaned_request_after_first_(mpx_)?last|.*_auth3|"
    "ntlmssp_multi_auth_(MPX_)?first1_firstNext(2|None)"
)
DIFFERENT = {
    "ntlmssp_(multi_)?auth_.*": "a fragment that is not of the call that was begun is refused in "
    "more cases, and calls may be mixed whether or not that was asked for",
    "neg_xmit_.*": "a fragment may be longer than was agreed; all before that is as expected",
    "orphaned_request_after_.*": "an orphan is given up ([C706] 12.6.4.8); Windows takes no notice",
    "spnego_multiple_auth_hdr_signing": "header signing is agreed on before the first token only",
    "multiple_auth_limit": "64 security contexts",
    "spnego_call_bind": "level CALL is taken as PACKET",
    "spnego_privacy_bind_.*": "NTLM that agreed on no sealing fails at the first call",
    "spnego_auth_pad_fail_.*|invalid_auth_noctx": "another reason in bind_nak, or only later",
    "spnego_(change|connect|integrity|packet|unfinished)_.*": "refused by another fault",
}
"""Where we do not do as Windows, and why not."""


@pytest.mark.root
@pytest.mark.peers("smbtorture")
def test_sambas_tests_of_the_protocol_itself() -> None:
    """What Windows answers to peers that keep to the rules, and to those that do not."""
    address = f"127.81.{os.getpid() % 250}.{os.getpid() // 250 % 250}"
    with listening(minimum_level=CONNECT, place=(address, 135)):
        program = str(Path(__file__).with_name("samba_raw_protocol.py"))
        command = ["/usr/bin/python3", "-W", "ignore", program, address, USER, PASSWORD, OMITTED]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    failed = {name: why for name, why in outcomes.items() if why}
    assert len(outcomes) - len(failed) >= 91
    for pattern in DIFFERENT:
        known = {name for name in failed if re.fullmatch(f"test_({pattern})", name)}
        assert known, f"nothing differs in {pattern} any more"
        failed = {name: why for name, why in failed.items() if name not in known}
    assert not failed
