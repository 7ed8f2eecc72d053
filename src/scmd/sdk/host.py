"""`python -m scmd.sdk.host`: the program the SCM runs for installed Python services.

Loads the module or script, takes the declared services from its attributes and runs them
under the dispatcher. What fails before that is reported as the failure of the service that was
to start, with its traceback, so that nobody waits for a time-out; of services that share a process
the names are not known then, so their starts fail with 1083, after the traceback in the log.

    --folder DIR --module NAME   or   --script FILE,   then --attribute NAME, once a service
"""

from __future__ import annotations

import os
import sys

from scmd.sdk.dispatcher import print_traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from scmd.sdk.service import Service

USAGE = (
    "usage: python -m scmd.sdk.host [--folder DIR] (--module NAME | --script FILE)"
    " --attribute NAME..."
)


def load_services(arguments: Sequence[str]) -> list[Service]:
    """The declared services that the arguments name; ValueError, or what importing raises."""
    from scmd.sdk.service import Service, instance

    options: dict[str, list[str]] = {}
    for option, value in zip(arguments[::2], arguments[1::2], strict=False):
        options.setdefault(option, []).append(value)
    known = {"--folder", "--module", "--script", "--attribute"}
    if len(arguments) % 2 or not set(options) <= known or "--attribute" not in options:
        raise ValueError(USAGE)
    sys.argv[1:] = []
    module = _load(options)
    services = []
    for name in options["--attribute"]:
        declared = getattr(module, name, None)
        is_class = isinstance(declared, type) and issubclass(declared, Service)
        if declared is None or not (is_class or isinstance(declared, Service)):
            raise ValueError(f"{module.__name__}.{name} is not a service")
        services.append(instance(declared))
    return services


def _load(options: dict[str, list[str]]) -> ModuleType:
    if not sys.flags.safe_path:
        # `-m` put the working directory there, which is nothing to import from.
        del sys.path[0]
    if "--module" in options:
        from importlib import import_module

        sys.path[:0] = options.get("--folder", [])
        return import_module(options["--module"][-1])
    if "--script" not in options:
        raise ValueError(USAGE)
    return _load_script(options["--script"][-1])


def _load_script(path: str) -> ModuleType:
    """The script as a module named after its file, so that its `__main__` part does not run."""
    from importlib.machinery import ModuleSpec, SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(path))
    spec: ModuleSpec | None = spec_from_file_location(
        name, path, loader=SourceFileLoader(name, path)
    )
    if spec is None or spec.loader is None:
        raise ValueError(f"cannot load {path}")
    module = module_from_spec(spec)
    sys.modules[name] = module
    sys.argv[0] = path
    spec.loader.exec_module(module)
    return module


def main(arguments: Sequence[str]) -> int:
    """Run until the last service has stopped; 1 when nothing could be run."""
    from scmd.sdk.process import has_channel
    from scmd.vocabulary.winerror import WinError

    try:
        services = load_services(arguments)
    except BaseException as error:
        if isinstance(error, SystemExit) and not has_channel():
            raise  # The script has run its services, without an `if __name__ == "__main__"`.
        print_traceback()
        return _fail(error)
    from scmd.sdk.service import serve

    try:
        serve(services)
    except WinError as error:
        if sys.stderr is not None:
            sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _fail(error: BaseException) -> int:
    """Take the start and answer it with STOPPED, 1064 and the error in the event log."""
    from scmd.sdk.process import connect, has_channel
    from scmd.vocabulary.errors import Error
    from scmd.vocabulary.status import ServiceStatus

    if not has_channel():
        return 1
    dispatcher = connect()

    def service_main(arguments: list[str]) -> None:
        handle = dispatcher.register(arguments[0], lambda control, kind, data: 0)
        text = f"the service could not be loaded: {type(error).__name__}: {error}"
        dispatcher.report_event(handle, 1, 0, 0, (text,))
        status = ServiceStatus(
            type=dispatcher.service_type, win32_exit_code=Error.EXCEPTION_IN_SERVICE
        )
        dispatcher.set_status(handle, status)

    # In a process of its own the service gets this, whatever its name.
    dispatcher.run([("", service_main)])
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
