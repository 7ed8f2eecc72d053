"""SDDL held against Samba's parser and printer: either side reads what the other writes.

Samba 4.17 orders the letters of rights in its own way, lacks the names of key rights, and does
not read flags of an empty DACL that a SACL follows; Windows' order is what `sc sdshow` shows.
What counts is that no entry changes its meaning on the way.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from scmd.security.defaults import SCM_DESCRIPTOR, SERVICE_SDDL
from scmd.security.descriptor import Ace, AceFlags, AceType, DescriptorControl, SecurityDescriptor
from scmd.security.sddl import (
    ACE_FLAGS,
    NAMED_MASKS,
    RIGHTS,
    TRUSTEES,
    descriptor_from_sddl,
    descriptor_to_sddl,
)

SYSTEM_PYTHON = "/usr/bin/python3"
ORACLE = Path(__file__).with_name("samba_sddl.py")
pytestmark = pytest.mark.peers("samba-tool")

TEXTS = (
    SERVICE_SDDL,
    *(f"O:{letters}G:{letters}D:(A;;CC;;;{letters})" for letters in TRUSTEES),
    *(f"D:(A;;{letters};;;WD)" for letters in RIGHTS),
    *(f"D:(D;{letters};CC;;;WD)" for letters in ACE_FLAGS),
    "D:(A;;FR;;;WD)(A;;FW;;;BA)(A;;FX;;;SY)",
    "D:PAI(A;;GA;;;WD)",
    "D:AR(A;OICIIO;GRGWGX;;;CO)",
    "S:PAI(AU;SAFA;GA;;;WD)",
    "O:S-1-5-80-1-2-3-4-5D:(A;;0x1234;;;S-1-22-1-1000)(D;;0xffffffff;;;S-1-22-2-0)",
    "D:(A;;0x00120000;;;S-1-5-21-1-2-3-500)",
    "D:P",
    "",
)
SIDS = (*TRUSTEES.values(), "S-1-22-1-1000", "S-1-22-2-27", "S-1-5-80-1-2-3-4-5")
ACL_BITS = (
    0,
    int(DescriptorControl.DACL_PROTECTED),
    int(DescriptorControl.DACL_AUTO_INHERITED | DescriptorControl.DACL_AUTO_INHERIT_REQUIRED),
)


def samba(wanted: str, values: Iterable[str]) -> list[str | None]:
    lines = "\n".join(json.dumps((wanted, value)) for value in values)
    done = subprocess.run(
        [SYSTEM_PYTHON, str(ORACLE)], input=lines, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def from_base64(text: str | None) -> SecurityDescriptor:
    assert text is not None, "Samba does not understand it"
    return SecurityDescriptor.from_bytes(base64.b64decode(text))


def random_descriptors(count: int) -> list[SecurityDescriptor]:
    """Of the masks that both name alike; the same ones in every run."""
    chance = random.Random(42)
    own_names = set(NAMED_MASKS.values())

    def acl(*types: AceType) -> tuple[Ace, ...]:
        flags = [AceFlags(bit) for bit in ACE_FLAGS.values()]
        entries = []
        for _ in range(chance.randrange(1, 5)):
            letters = chance.sample(list(RIGHTS.values()), chance.randrange(1, 8))
            mask = sum(letters) if chance.random() < 0.7 else chance.randrange(1, 2**32)
            mask = 1 if mask in own_names else mask
            chosen = AceFlags(sum(chance.sample(flags, chance.randrange(3))))
            entries.append(
                Ace(type=chance.choice(types), mask=mask, sid=chance.choice(SIDS), flags=chosen)
            )
        return tuple(entries)

    return [
        SecurityDescriptor(
            owner=chance.choice((None, *SIDS)),
            group=chance.choice((None, *SIDS)),
            dacl=acl(AceType.ACCESS_ALLOWED, AceType.ACCESS_DENIED),
            sacl=chance.choice((None, acl(AceType.SYSTEM_AUDIT))),
            control=chance.choice(ACL_BITS),
        )
        for _ in range(count)
    ]


def test_samba_reads_a_text_as_we_do() -> None:
    for text, answer in zip(TEXTS, samba("bytes", TEXTS), strict=True):
        assert from_base64(answer) == descriptor_from_sddl(text), text


def test_samba_reads_what_we_write() -> None:
    descriptors = random_descriptors(300)
    answers = samba("bytes", map(descriptor_to_sddl, descriptors))
    for descriptor, answer in zip(descriptors, answers, strict=True):
        assert from_base64(answer) == descriptor, descriptor_to_sddl(descriptor)


def test_we_read_what_samba_writes() -> None:
    descriptors = [*random_descriptors(300), SCM_DESCRIPTOR]
    encoded = [base64.b64encode(descriptor.to_bytes()).decode() for descriptor in descriptors]
    for descriptor, text in zip(descriptors, samba("text", encoded), strict=True):
        assert text is not None
        assert descriptor_from_sddl(text) == descriptor, text
