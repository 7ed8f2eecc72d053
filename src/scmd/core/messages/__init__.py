"""Everything that enters and leaves the SCM: commands and events in, effects out.

Nothing here decides; the types are the contract between `scm.Scm`, the daemon's shell, the
RPC server and the simulation. This module has what the three have in common and what the
SCM starts with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NewType

from msgspec import Struct, field

from scmd.core.calendars import Zone, only_utc
from scmd.security.token import Token
from scmd.vocabulary.configuration import ServiceConfig
from scmd.vocabulary.registry import RegistryValue

Millis = NewType("Millis", int)
CallId = NewType("CallId", int)
AssociationId = NewType("AssociationId", int)
HandleId = NewType("HandleId", int)
ServiceId = NewType("ServiceId", int)
"""The record number: given at creation, never used again; files and cgroups are named after it."""
LaunchId = NewType("LaunchId", int)
"""One run of one process. Never used again under one state directory."""
SaveId = NewType("SaveId", int)
ControlId = NewType("ControlId", int)
"""One control on its way to a service process."""

CONTEXT_MISMATCH = 0x1C00001A
"""Not a Win32 error: the error of a `Reply` to a call whose handle is unknown or belongs to
another association. The RPC server makes it the fault nca_s_fault_context_mismatch."""

Parameters = Mapping[str, RegistryValue]
"""A service's own values; a name may hold `\\` for a subkey (`AppEvents\\Start\\Pre`)."""


class Caller(Struct, frozen=True):
    """The identity behind a call."""

    token: Token
    name: str
    """For people and the audit: `root`, `WORKGROUP\\alice`."""
    origin: str
    """Where the call came from: `local pid 4711`, `10.0.0.7:49152`."""


class Actor(Struct, frozen=True):
    """Who or what brought a change about: a caller, or one of the two below."""

    name: str
    origin: str = ""
    """Of a caller, where the call came from; of the SCM, its reason: `automatic start`."""


SCM_ITSELF = Actor("SCM")
SERVICE_ITSELF = Actor("service")
"""Nobody had asked for it."""


class Call(Struct, frozen=True):
    """One request: its number, its association group (which owns handles) and its caller."""

    id: CallId
    association: AssociationId
    caller: Caller


class StoredService(Struct, frozen=True):
    """A record as the database gave it."""

    id: ServiceId
    config: ServiceConfig
    parameters: Parameters
    deleted: bool = False


class Settings(Struct, frozen=True):
    """SCM-wide values (Control in the registry) and what the host is like. Milliseconds."""

    pipe_timeout: int = 30_000
    """ServicesPipeTimeout: connect, start and control answers."""
    register_warning: int = 1_000
    """A handler registered later than this is logged, never killed."""
    kill_timeout: int = 20_000
    """WaitToKillServiceTimeout."""
    group_order: tuple[str, ...] = ()
    """ServiceGroupOrder\\List."""
    tag_order: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """GroupOrderList: by the group's name key, its tags in their order."""
    preshutdown_order: tuple[str, ...] = ()
    """PreshutdownOrder: services that get PRESHUTDOWN before all others, one after the other."""
    first_launch: int = 1
    """No launch number below this one is given out."""
    epoch: int = 1
    """The feed's, unless a journal goes on: one that no SCM has had, with this database or not."""
    first_service: int = 1
    """No record number below this one is given out; above every number of a removed record."""
    auto_start_delay: int = 120_000
    """AutoStartDelay: from the end of the automatic starts to the delayed ones."""
    crash_loop_limit: int = 10
    """RestartLimit: more failures than this within the period end the restarts; 0: never."""
    crash_loop_period: int = 10_000
    """RestartLimitPeriod."""
    own_ids: range = range(0x7000_0000, 0x8000_0000)
    """VirtualAccountBase, VirtualAccountCount: uids and gids for services, by record number."""
    reboot_command: str = ""
    """RebootCommand: what restarts the machine; "": nothing does."""
    stored: Mapping[str, RegistryValue] = field(default_factory=dict)
    """The values that these come from, by path below Control; see `control_values`."""
    single_user: bool = False
    """Without root: every service runs as the SCM's own user, other accounts are 1057."""
    ends_with_essential: bool = False
    """`scmd init`: the SCM ends when an essential service does."""
    security: bytes | None = None
    """The SCM's own descriptor, self-relative; None: the documented default."""
    built_in_services: bool = False
    """BuiltInServices: EventLog, RpcSs, Tcpip and LanmanServer are there; see `built_in`."""
    process_id: int = 0
    """The manager's own: where built-in services run."""
    lock_has_effect: bool = False
    """LockHasEffect: the database lock is NT 4's; see `locks`."""
    notify_socket: str = ""
    """Where hosted programs send what they say by sd_notify; "": nobody hears it."""
    zone: Callable[[str], Zone | None] = only_utc
    """The host's time zones by their names, "" for its own; None for one that it does not know."""
    environment: Mapping[str, str] = field(default_factory=dict)
