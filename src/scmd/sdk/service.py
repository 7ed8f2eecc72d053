"""Services in a few lines: a decorated function, or a class with a `run` method.

What a service is called and how it is installed stands in its declaration; what one start of
it can do is `context.ServiceContext`. This module runs declarations on a backend and turns
their end into the last report: return is STOPPED with 0, `ServiceExit` and SystemExit the
service-specific error 1066, any other exception 1064 with its traceback in the log.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

from scmd.sdk.context import Hints, ServiceContext, ServiceExit
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import (
    FIRST_USER_CONTROL,
    LAST_USER_CONTROL,
    Control,
    ControlsAccepted,
    ServiceType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from typing import Any, TypeVar

    from scmd.sdk.backend import Backend, ServiceMain

    Hook = TypeVar("Hook", bound=Callable[..., object])
    ServiceFunction = Callable[[ServiceContext], object]

# What a hook for a control implies for the accept mask; the service's own codes need no bit.
_ACCEPT_BITS = {
    "stop": ControlsAccepted.STOP,
    "pause": ControlsAccepted.PAUSE_CONTINUE,
    "continue": ControlsAccepted.PAUSE_CONTINUE,
    "shutdown": ControlsAccepted.SHUTDOWN,
    "paramchange": ControlsAccepted.PARAMCHANGE,
    "netbindadd": ControlsAccepted.NETBINDCHANGE,
    "netbindremove": ControlsAccepted.NETBINDCHANGE,
    "netbindenable": ControlsAccepted.NETBINDCHANGE,
    "netbinddisable": ControlsAccepted.NETBINDCHANGE,
    "hardwareprofilechange": ControlsAccepted.HARDWAREPROFILECHANGE,
    "powerevent": ControlsAccepted.POWEREVENT,
    "sessionchange": ControlsAccepted.SESSIONCHANGE,
    "preshutdown": ControlsAccepted.PRESHUTDOWN,
    "timechange": ControlsAccepted.TIMECHANGE,
    "triggerevent": ControlsAccepted.TRIGGEREVENT,
}
_STOPS = ("stop", "shutdown", "preshutdown")

DEFAULT_ACCEPTS = ("stop", "pause", "shutdown")


def _control_code(control: int | str) -> int:
    if isinstance(control, str):
        name = control.lower()
        if name in _ACCEPT_BITS and name not in _STOPS:
            return Control[name.upper()]
        raise ValueError(f"no control {control!r} to handle: 128 to 255, or {_hookable()}")
    if not FIRST_USER_CONTROL <= control <= LAST_USER_CONTROL:
        raise ValueError(f"{control} is not a service's own control: 128 to 255")
    return control


def _hookable() -> str:
    return ", ".join(name for name in _ACCEPT_BITS if name not in _STOPS)


def on(control: int | str) -> Callable[[Hook], Hook]:
    """Mark a method of a `Service` class as the handler of a control; see `Service.on`."""
    code = _control_code(control)

    def mark(method: Hook) -> Hook:
        method.__dict__.setdefault("scmd_controls", []).append(code)
        return method

    return mark


class Service:
    """A service as declared. Subclass it and write `run`, or decorate a function.

    A subclass may have `on_pause`, `on_continue` and methods marked `@scmd.on(200)`; like
    `run` they get `svc` and run on the service's thread.
    """

    name = ""
    """The key name, 1 to 256 characters."""
    display: str | None = None
    """None: the name."""
    description = ""
    depends: Sequence[str] = ()
    """What has to run first: services, or `+GROUP`."""
    start = "demand"
    """auto, delayed, demand or disabled."""
    accepts: Iterable[str] = DEFAULT_ACCEPTS
    """Controls the service takes when running: stop, pause, shutdown, preshutdown..."""
    start_hint: float = 30.0
    stop_hint: float = 20.0
    pause_hint: float = 10.0
    """Seconds promised when the state becomes pending; `svc.progress` promises anew."""

    def __init__(self) -> None:
        if not self.name:
            raise ValueError(f"{type(self).__name__} needs a service name")
        self._hooks: dict[int, ServiceFunction] = {}
        for attribute in dir(type(self)):
            for code in getattr(getattr(type(self), attribute), "scmd_controls", ()):
                self._hooks[code] = getattr(self, attribute)
        for code, attribute in ((Control.PAUSE, "on_pause"), (Control.CONTINUE, "on_continue")):
            if hasattr(self, attribute):
                self._hooks[code] = getattr(self, attribute)
        _ = self.accepted

    def run(self, svc: ServiceContext) -> object:
        """The service's work; may be `async def`. Returning ends the service."""
        raise NotImplementedError(f"{type(self).__name__} needs a method run(svc)")

    def on(self, control: int | str) -> Callable[[Hook], Hook]:
        """Make a function(svc) the handler of a control, run by `svc.wait`.

        `control`: 128 to 255, or `"pause"`, `"continue"`, `"paramchange"` and so on; the
        service then accepts that control. A control without handler is answered with 120.
        """
        code = _control_code(control)

        def register(function: Hook) -> Hook:
            self._hooks[code] = function
            return function

        return register

    @property
    def accepted(self) -> ControlsAccepted:
        """The accept mask while running: what `accepts` says and what handlers need."""
        mask = ControlsAccepted(0)
        for name in self.accepts:
            if name.lower() not in _ACCEPT_BITS:
                raise ValueError(f"cannot accept {name!r}; known: {', '.join(_ACCEPT_BITS)}")
            mask |= _ACCEPT_BITS[name.lower()]
        for code in self._hooks:
            if code < FIRST_USER_CONTROL:
                mask |= _ACCEPT_BITS[Control(code).name.lower()]
        return mask

    def service_main(self, backend: Backend, *, shared: bool = False) -> ServiceMain:
        """What a backend runs on a thread of its own."""

        def main(arguments: list[str]) -> None:
            svc = ServiceContext(
                backend,
                arguments or [self.name],
                type=ServiceType.WIN32_SHARE_PROCESS if shared else ServiceType.WIN32_OWN_PROCESS,
                accepts=self.accepted,
                hooks=self._hooks,
                hints=Hints(self.start_hint, self.stop_hint, self.pause_hint),
            )
            svc.report_stopped(*self._exit_codes(svc))

        return main

    def _exit_codes(self, svc: ServiceContext) -> tuple[int, int]:
        """Run the service; its Win32 and its specific exit code."""
        try:
            result = self.run(svc)
            if hasattr(result, "__await__"):
                _run_coroutine(result)
            elif hasattr(result, "__next__") or hasattr(result, "__anext__"):
                raise TypeError("there is a yield in it, so that nothing of it has run")
        except ServiceExit as exit:
            return _specific(exit.specific_code)
        except SystemExit as exit:
            if exit.code is None or isinstance(exit.code, int):
                return _specific(exit.code or 0)
            svc.log.error("%s", exit.code)
            return _specific(1)
        except BaseException:
            svc.log.exception("the service failed")
            return Error.EXCEPTION_IN_SERVICE, 0
        return 0, 0

    def main(self, argv: Sequence[str] | None = None) -> None:
        """The service's command line, `sys.argv` by default; ends with sys.exit.

        install, remove, start, stop, restart, reload, pause, continue, status, debug, run. Without
        a command it is `run` when the SCM started the process, else the usage.
        """
        run(self, argv=argv)

    def install(self, **options: Any) -> None:
        """Create the service in the local SCM; `registration.install` has the options."""
        from scmd.sdk.registration import install

        install([self], **options)


class FunctionService(Service):
    """What `@scmd.service` makes of a function; calling it calls the function."""

    def __init__(self, function: ServiceFunction, name: str) -> None:
        self.name = name
        super().__init__()
        self.function = function
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__name__ = getattr(function, "__name__", name)
        self.__qualname__ = getattr(function, "__qualname__", name)

    def __call__(self, svc: ServiceContext) -> object:
        return self.function(svc)

    def run(self, svc: ServiceContext) -> object:
        return self.function(svc)


def service(
    name: str,
    *,
    display: str | None = None,
    description: str = "",
    depends: Sequence[str] = (),
    start: str = "demand",
    accepts: Iterable[str] = DEFAULT_ACCEPTS,
    start_hint: float = 30.0,
    stop_hint: float = 20.0,
    pause_hint: float = 10.0,
) -> Callable[[ServiceFunction], FunctionService]:
    """Declare a function(svc) as a service; the arguments are the attributes of `Service`.

    ValueError: no name, or a control in `accepts` that there is not.
    """

    def declare(function: ServiceFunction) -> FunctionService:
        declared = FunctionService(function, name)
        declared.display = display
        declared.description = description
        declared.depends = tuple(depends)
        declared.start = start
        declared.accepts = tuple(accepts)
        declared.start_hint = start_hint
        declared.stop_hint = stop_hint
        declared.pause_hint = pause_hint
        _ = declared.accepted
        return declared

    return declare


def instance(declared: Service | type[Service]) -> Service:
    """The declaration itself, or one of the class."""
    return declared() if isinstance(declared, type) else declared


def serve(services: Sequence[Service]) -> None:
    """Run services under the SCM that started this process; WinError 1063 if none did."""
    from scmd.sdk.process import connect

    dispatcher = connect()
    if isinstance(sys.stdout, TextIOWrapper):
        # What a service prints is in its log at once, not when a buffer is full.
        sys.stdout.reconfigure(line_buffering=True)
    run_on(dispatcher, services)


def run_on(backend: Backend, services: Sequence[Service]) -> None:
    """Run services on any backend until the last has stopped."""
    shared = len(services) > 1
    backend.run(
        [(service.name, service.service_main(backend, shared=shared)) for service in services]
    )


def run(*services: Service | type[Service], argv: Sequence[str] | None = None) -> None:
    """The command line of one or several services in one process; ends with sys.exit.

    Under the SCM, without a command, it runs them until the last has stopped.
    """
    from scmd.sdk.command_line import main

    sys.exit(main([instance(declared) for declared in services], argv))


def _specific(code: int) -> tuple[int, int]:
    return (Error.SERVICE_SPECIFIC_ERROR, code & 0xFFFFFFFF) if code else (0, 0)


def _run_coroutine(coroutine: Coroutine[Any, Any, object] | Any) -> None:
    import asyncio

    asyncio.run(coroutine)
