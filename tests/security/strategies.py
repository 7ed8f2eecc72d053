"""Random descriptors for the tests of this folder."""

from __future__ import annotations

from hypothesis import strategies as st

from scmd.security.descriptor import Ace, AceFlags, AceType, DescriptorControl, SecurityDescriptor

SIDS = st.sampled_from(
    ("S-1-1-0", "S-1-5-18", "S-1-5-32-544", "S-1-5-4", "S-1-22-1-1000", "S-1-3-4", "S-1-5-80-1-2-3")
)
MASKS = st.integers(0, 2**32 - 1) | st.sampled_from((0, 0xF01FF, 0xF003F, 0x1F01FF, 0x10000000))
FLAGS = st.integers(0, 0xFF).map(lambda bits: AceFlags(bits & 0xDF))


def aces(*types: AceType) -> st.SearchStrategy[tuple[Ace, ...]]:
    one = st.builds(Ace, type=st.sampled_from(types), mask=MASKS, sid=SIDS, flags=FLAGS)
    return st.lists(one, max_size=6).map(tuple)


DACLS = aces(AceType.ACCESS_ALLOWED, AceType.ACCESS_DENIED)
SACLS = aces(AceType.SYSTEM_AUDIT, AceType.SYSTEM_MANDATORY_LABEL)
CONTROLS = st.sets(
    st.sampled_from(
        (
            DescriptorControl.DACL_PROTECTED,
            DescriptorControl.DACL_AUTO_INHERIT_REQUIRED,
            DescriptorControl.DACL_AUTO_INHERITED,
        )
    )
).map(lambda flags: int(sum(flags)))
DESCRIPTORS = st.builds(
    SecurityDescriptor,
    owner=st.none() | SIDS,
    group=st.none() | SIDS,
    dacl=DACLS,
    sacl=st.none() | SACLS,
    control=CONTROLS,
)
