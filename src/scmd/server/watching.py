"""Serving the feed of changes (RWaitForChanges)."""

from __future__ import annotations

from scmd.core.changes import Change
from scmd.core.feed import FeedPart, ServiceView, WaitForChanges
from scmd.scmd_interface.feed import (
    MAX_FEED_TEXT,
    FeedEntry,
    FeedKind,
    WaitForChangesRequest,
    WaitForChangesResponse,
)
from scmd.server.steps import Steps, Work

_UNKNOWN = 0xFFFF_FFFF


def wait_for_changes(work: Work, request: WaitForChangesRequest) -> Steps[WaitForChangesResponse]:
    reply = yield WaitForChanges(
        work.call,
        work.handle(request.handle),
        request.epoch,
        request.after,
        request.limit,
        tuple(name.text or "" for name in request.names or ()),
        request.resume,
    )
    if reply.error:
        return WaitForChangesResponse(error=reply.error)
    part = reply.result
    assert isinstance(part, FeedPart)
    if part.behind:
        entries = tuple(map(_service, part.services))
    else:
        entries = tuple(map(_change, part.changes))
    return WaitForChangesResponse(
        epoch=part.epoch,
        number=part.number,
        behind=int(part.behind),
        resume=part.resume,
        entries=entries or None,
        error=0,
    )


def _service(view: ServiceView) -> FeedEntry:
    return FeedEntry(
        kind=FeedKind.SERVICE,
        name=view.name,
        display_name=view.display_name,
        status=view.status,
        marked=int(view.marked),
    )


def _change(change: Change) -> FeedEntry:
    return FeedEntry(
        number=change.number,
        kind=FeedKind[change.kind.name],
        name=change.name,
        status=change.status,
        before=change.before,
        lasted=_UNKNOWN if change.lasted is None else min(change.lasted, _UNKNOWN),
        cause=_fitting(change.cause),
        actor=_fitting(change.actor.name),
        origin=_fitting(change.actor.origin),
    )


def _fitting(text: str) -> str:
    # A character takes two units at most.
    return text[: (MAX_FEED_TEXT - 1) // 2]
