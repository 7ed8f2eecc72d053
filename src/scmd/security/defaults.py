"""The documented default descriptors and what generic rights mean for SCM and services.

[MS-SCMR] 3.1.4 (tables of access rights) and the descriptors a Windows SCM shows.
"""

from __future__ import annotations

from scmd.security.access import GenericMapping
from scmd.security.sddl import descriptor_from_sddl
from scmd.vocabulary.service import ScmAccess, ServiceAccess, StandardAccess

_READ_CONTROL = int(StandardAccess.READ_CONTROL)

SCM_SDDL = (
    "O:SYG:SY"
    "D:(A;;CC;;;AU)(A;;CCLCRPRC;;;IU)(A;;CCLCRPRC;;;SU)(A;;CCLCRPWPRC;;;SY)(A;;KA;;;BA)"
    "S:(AU;FA;KA;;;WD)(AU;OIIOFA;GA;;;WD)"
)
SERVICE_SDDL = (
    "O:SYG:SY"
    "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"
    "(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)"
    "S:(AU;FA;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;WD)"
)

SCM_DESCRIPTOR = descriptor_from_sddl(SCM_SDDL)
SERVICE_DESCRIPTOR = descriptor_from_sddl(SERVICE_SDDL)

SCM_MAPPING = GenericMapping(
    read=_READ_CONTROL | int(ScmAccess.ENUMERATE_SERVICE | ScmAccess.QUERY_LOCK_STATUS),
    write=_READ_CONTROL | int(ScmAccess.CREATE_SERVICE | ScmAccess.MODIFY_BOOT_CONFIG),
    execute=_READ_CONTROL | int(ScmAccess.CONNECT | ScmAccess.LOCK),
    all=int(ScmAccess.ALL_ACCESS),
)
SERVICE_MAPPING = GenericMapping(
    read=_READ_CONTROL
    | int(
        ServiceAccess.QUERY_CONFIG
        | ServiceAccess.QUERY_STATUS
        | ServiceAccess.INTERROGATE
        | ServiceAccess.ENUMERATE_DEPENDENTS
    ),
    write=_READ_CONTROL | int(ServiceAccess.CHANGE_CONFIG),
    execute=_READ_CONTROL
    | int(
        ServiceAccess.START
        | ServiceAccess.STOP
        | ServiceAccess.PAUSE_CONTINUE
        | ServiceAccess.USER_DEFINED_CONTROL
    ),
    all=int(ServiceAccess.ALL_ACCESS),
)
