"""SubscribeServiceChangeNotifications and WaitServiceState for `scmd.winsvc`.

Both look at the server's feed of changes, so that no change is lost in between; of a server
without one they see what `watching` can see there. A subscription has a thread and a connection
of its own: its callback is called there, one call at a time, and may call every function here. It
goes on when the handle that it was made with is closed, until it is unsubscribed or the service is
gone.
"""

from __future__ import annotations

from threading import Lock, Thread, current_thread
from time import monotonic

from scmd.client.apc import INFINITE, EventObject, SetEvent, end_of, wait_for_any
from scmd.client.sc_handle import ScHandle, use
from scmd.client.status_requests import STATES
from scmd.client.watching import Change, Watch
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import STATE_BITS, NotifyMask, ServiceState, ServiceType, StateMask
from scmd.vocabulary.winerror import WinError, expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SC_EVENT_DATABASE_CHANGE, SC_EVENT_PROPERTY_CHANGE, SC_EVENT_STATUS_CHANGE = range(3)

SUBSCRIBE = "SubscribeServiceChangeNotifications"
WAIT = "WaitServiceState"
LOOK_S = 1.0
"""The least that WaitServiceState has for its first look at the service, connecting included."""
_WAITED_FOR = STATES | NotifyMask.DELETE_PENDING


class Subscription:
    """PSC_NOTIFICATION_REGISTRATION: what UnsubscribeServiceChangeNotifications ends."""

    def __init__(
        self,
        watch: Watch,
        about: Callable[[Change], int | None],
        callback: Callable[[int, object], object],
        context: object,
        ends_with_service: bool,
    ) -> None:
        self._watch = watch
        self._about = about
        self._callback = callback
        self._context = context
        self._ends_with_service = ends_with_service
        self._calling = Lock()
        self._is_over = False
        self._thread = Thread(target=self._run, name=SUBSCRIBE, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._watch:
            for notify in self._notifications():
                with self._calling:
                    if self._is_over:
                        return
                    self._callback(notify, self._context)

    def _notifications(self) -> Iterator[int]:
        try:
            for change in self._watch:
                notify = self._about(change)
                if notify is not None:
                    yield notify
                if self._ends_with_service and change.kind == "deleted":
                    return
        except WinError:
            yield 0  # The server refuses who asks from now on, as whoever looks will see.

    def end(self) -> None:
        """No callback begins after this; one that runs, in another thread, has ended."""
        self._is_over = True
        self._watch.close()
        if current_thread() is not self._thread:
            # Not the thread's end: it may be connecting.
            with self._calling:
                pass


def SubscribeServiceChangeNotifications(
    handle: ScHandle,
    event_type: int,
    callback: Callable[[int, object], object],
    context: object = None,
) -> Subscription:
    """Have `callback(notify, context)` called at every change of a kind, from now on.

    SC_EVENT_DATABASE_CHANGE takes a handle to the SCM with SC_MANAGER_ENUMERATE_SERVICE, and
    `notify` is SERVICE_NOTIFY_CREATED or _DELETED; the others take a handle to a service with
    SERVICE_QUERY_STATUS. Of a SC_EVENT_STATUS_CHANGE `notify` is the new state's bit, or
    SERVICE_NOTIFY_DELETE_PENDING. 0 means that the caller has to look: at a
    SC_EVENT_PROPERTY_CHANGE, after changes that were missed, and once more when the server refuses
    the caller from now on, which ends the subscription. So does a callback that raises. Errors:
    5, 6 (the handle is of the other kind), 87, 120 (properties, at a server without a feed).
    """
    calls, raw = use(handle, SUBSCRIBE)
    kinds = {
        SC_EVENT_DATABASE_CHANGE: _of_database,
        SC_EVENT_PROPERTY_CHANGE: _of_properties,
        SC_EVENT_STATUS_CHANGE: _of_status,
    }
    if event_type not in kinds or not callable(callback):
        raise WinError(Error.INVALID_PARAMETER, SUBSCRIBE)
    if (event_type == SC_EVENT_DATABASE_CHANGE) == bool(handle.name):
        raise WinError(Error.INVALID_HANDLE, SUBSCRIBE)
    if handle.name:
        calls.query_basic_status(raw)
    else:
        calls.enum_services_part(raw, ServiceType.WIN32, StateMask.ALL, None, 0, 0)
    names = (handle.name,) if handle.name else ()
    needs_feed = event_type == SC_EVENT_PROPERTY_CHANGE
    watch = Watch(calls.another, names, lossless=needs_feed).begin()
    return Subscription(watch, kinds[event_type], callback, context, bool(names))


def UnsubscribeServiceChangeNotifications(subscription: Subscription) -> None:
    """Once it returns no callback runs or begins; in the callback itself it returns at once."""
    expect(Subscription, subscription, "UnsubscribeServiceChangeNotifications")
    subscription.end()


def _of_database(change: Change) -> int | None:
    if change.kind == "created":
        return NotifyMask.CREATED
    if change.kind == "deleted":
        return NotifyMask.DELETED
    return 0 if change.gap else None


def _of_properties(change: Change) -> int | None:
    return 0 if change.gap or change.kind in ("config", "parameters") else None


def _of_status(change: Change) -> int | None:
    if change.kind == "delete_pending":
        return NotifyMask.DELETE_PENDING
    if change.kind == "status" and (change.state != change.before or change.sampled):
        return STATE_BITS[change.state]
    return 0 if change.gap else None


def WaitServiceState(
    handle: ScHandle,
    notify: int,
    milliseconds: int = INFINITE,
    cancel_event: EventObject | None = None,
) -> None:
    """Return once the service is in one of the states of the mask; at once if it is already.

    The mask has the bits of a service handle: SERVICE_NOTIFY_STOPPED to _PAUSED and
    _DELETE_PENDING. The handle needs SERVICE_QUERY_STATUS. Errors: 5, 6, 87; 1460 when the
    time is up, 1223 when the event was set first; 1072 when the service is marked for deletion and
    has stopped, so that it can enter no other state, or is gone.
    """
    calls, raw = use(handle, WAIT)
    if not handle.name:
        raise WinError(Error.INVALID_HANDLE, WAIT)
    if not notify or notify & ~_WAITED_FOR:
        raise WinError(Error.INVALID_PARAMETER, WAIT)
    if cancel_event is not None:
        expect(EventObject, cancel_event, WAIT)
    end = end_of(milliseconds)
    failed: list[WinError] = []
    looked, ended = (EventObject(manual_reset=True, initial_state=False) for _ in range(2))
    watch = Watch(calls.another, (handle.name,), initial=True)

    def look() -> None:
        try:
            with watch:
                watch.begin()
                calls.query_basic_status(raw)  # Gone before it was watched it would not be told.
                _await(watch, notify, looked)
        except WinError as error:
            failed.append(error)
        SetEvent(ended)

    Thread(target=look, name=WAIT, daemon=True).start()
    try:
        limit = None if end is None else max(end, monotonic() + LOOK_S)
        which = wait_for_any((ended, cancel_event, looked), limit)
        if which is looked:
            which = wait_for_any((ended, cancel_event), end)
    finally:
        watch.close()
    if which is None:
        raise WinError(Error.TIMEOUT, WAIT)
    if which is cancel_event:
        raise WinError(Error.CANCELLED, WAIT)
    if failed:
        raise failed[0]


def _await(watch: Watch, notify: int, looked: EventObject) -> None:
    """Come back in one of the states; the event is set when the first one was none of them."""
    is_marked = False
    for change in watch:
        is_marked = is_marked or change.marked or change.kind == "delete_pending"
        if change.kind == "deleted":
            raise WinError(Error.SERVICE_MARKED_FOR_DELETE, WAIT)
        if notify & (STATE_BITS[change.state] | is_marked * NotifyMask.DELETE_PENDING):
            return
        if is_marked and change.state == ServiceState.STOPPED:
            raise WinError(Error.SERVICE_MARKED_FOR_DELETE, WAIT)
        SetEvent(looked)
