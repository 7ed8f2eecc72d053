"""Two mistakes of impacket 0.13.1 in NDR64, byte by byte: why two of its test cases fail here.

NDR64 has pointers of eight bytes at multiples of eight ([MS-RPCE] 2.2.5). tests/remote runs them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from scmd.ndr.errors import NdrError
from scmd.ndr.structure import NDR64
from scmd.ndr.values import ContextHandle, Guid
from scmd.svcctl.configuration import CHANGE_SERVICE_CONFIG_2_W, ServiceTrigger, TriggerInfo
from scmd.svcctl.control import (
    ENUM_SERVICES_STATUS_EX_W,
    EnumServicesResponse,
    EnumServicesStatusExRequest,
)
from scmd.vocabulary.errors import Error

TRIGGERS_AT = 80
"""Where the array's elements begin: handle, level, union, three pointers, two counts."""
SUBTYPE = bytes.fromhex("ba0ae21c519821449430 1ddeb766e809")
MORE_DATA = bytes.fromhex(
    "0000000000000000"  # No entries.
    "34120000 00000000"  # 0x1234 bytes are needed, none was returned.
    "0000000000000000"  # The resume index, which is a pointer: there is none.
    "ea000000"  # ERROR_MORE_DATA.
)


def trigger_request(*, element_is_ndr64: bool) -> bytes:
    """As impacket's test_RChangeServiceConfig2W makes it, which does not say that it is."""
    from impacket.dcerpc.v5 import scmr
    from impacket.dcerpc.v5.dtypes import NULL
    from impacket.uuid import string_to_bin

    trigger = scmr.SERVICE_TRIGGER(isNDR64=element_is_ndr64)
    trigger["dwTriggerType"] = scmr.SERVICE_TRIGGER_TYPE_DOMAIN_JOIN
    trigger["dwAction"] = scmr.SERVICE_TRIGGER_ACTION_SERVICE_START
    trigger["pTriggerSubtype"] = string_to_bin(scmr.DOMAIN_JOIN_GUID)
    trigger["pDataItems"] = NULL
    request = scmr.RChangeServiceConfig2W(isNDR64=True)
    request["hService"] = bytes(20)
    request["Info"]["dwInfoLevel"] = request["Info"]["Union"]["tag"] = 8
    request["Info"]["Union"]["psti"]["pTriggers"].append(trigger)
    data: bytes = request.getData()
    return data


def element(request: bytes) -> str:
    """The trigger; impacket draws its referents at random and pads with what it likes."""
    words = [request[at : at + 4].hex() for at in range(TRIGGERS_AT, len(request), 4)]
    words[2] = "<ref>"
    return " ".join(words)


def test_its_trigger_is_laid_out_for_ndr_within_a_request_in_ndr64() -> None:
    wrong = trigger_request(element_is_ndr64=False)
    # Type and action; then pointer, count and pointer of four bytes each; the identifier.
    ndr = "03000000 01000000 <ref> 00000000 00000000 ba0ae21c 51982144 94301dde b766e809"
    assert element(wrong) == ndr
    with pytest.raises(NdrError):
        CHANGE_SERVICE_CONFIG_2_W.decode_request(wrong, NDR64)
    right = trigger_request(element_is_ndr64=True)
    # Eight bytes each; the count has four bytes of padding behind it.
    ndr64 = "03000000 01000000 <ref> 00000000 00000000 bfbfbfbf 00000000 00000000"
    assert element(right) == f"{ndr64} ba0ae21c 51982144 94301dde b766e809"
    info = CHANGE_SERVICE_CONFIG_2_W.decode_request(right, NDR64).config.info
    expected = ServiceTrigger(trigger_type=3, action=1, trigger_subtype=Guid(SUBTYPE))
    assert info == TriggerInfo(trigger_count=1, triggers=(expected,))


def more_data(**fields: Any) -> EnumServicesResponse:
    return EnumServicesResponse(
        buffer=b"", bytes_needed=0x1234, returned=0, error=Error.MORE_DATA, **fields
    )


def test_it_takes_an_enumerations_error_from_the_middle_of_a_pointer() -> None:
    """Declared as a number the resume index ends four bytes early; in NDR nobody notices."""
    from impacket.dcerpc.v5.scmr import REnumServicesStatusExWResponse

    assert ENUM_SERVICES_STATUS_EX_W.encode_response(more_data(), NDR64) == MORE_DATA
    assert REnumServicesStatusExWResponse(MORE_DATA, isNDR64=True)["ErrorCode"] == 0
    ndr = ENUM_SERVICES_STATUS_EX_W.encode_response(more_data())
    assert REnumServicesStatusExWResponse(ndr)["ErrorCode"] == Error.MORE_DATA
    # A pointer that is there does not fit what impacket expects in NDR either.
    ndr = ENUM_SERVICES_STATUS_EX_W.encode_response(more_data(resume_index=7))
    assert REnumServicesStatusExWResponse(ndr)["ErrorCode"] == 7


@pytest.mark.peers("ndrdump")
def test_sambas_decoder_reads_that_answer_as_it_is_meant(tmp_path: Path) -> None:
    asked = EnumServicesStatusExRequest(
        scm=ContextHandle(bytes(20)), type=0x30, state=3, buffer_size=0
    )
    (tmp_path / "request").write_bytes(ENUM_SERVICES_STATUS_EX_W.encode_request(asked, NDR64))
    (tmp_path / "answer").write_bytes(MORE_DATA)
    done = subprocess.run(
        ["ndrdump", "--ndr64", "--context-file=request", "svcctl", "42", "out", "answer"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "WERR_MORE_DATA" in done.stdout
    assert "0x00001234" in done.stdout
    assert "dump OK" in done.stdout
