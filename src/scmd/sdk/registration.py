"""Installing declared services: what has to be recorded so that the SCM finds them again.

The ImagePath names the interpreter (the virtual environment's, links unresolved, so that it
finds its packages), the module or script, the attribute that holds the declaration, and the
folder the module is imported from. The installer's environment and working directory do not
matter afterwards.
"""

from __future__ import annotations

import os
import sys
import sysconfig

from scmd.vocabulary.command_line import join_command_line
from scmd.vocabulary.configuration import LOCAL_SYSTEM
from scmd.vocabulary.service import ServiceType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from scmd.client.scm import Scm
    from scmd.sdk.service import Service


class NotInstallable(ValueError):
    """The declaration cannot be found again by another process; the message says why."""


def install(
    services: Sequence[Service],
    *,
    start: str | None = None,
    account: str | None = None,
    password: str | None = None,
    depends: Sequence[str] | None = None,
    display: str | None = None,
    description: str | None = None,
    scm: Scm | None = None,
) -> None:
    """Create the services: several share one process. All of them are created or none.

    `start` (auto, delayed, demand, disabled), `depends`, `display` and `description` override
    the declarations; of several services none may have a display name that another has.
    `account` is LocalSystem by default; `scm` is the local one. The failure-actions flag is
    set, no failure actions. NotInstallable before anything is created; else WinError.
    """
    from contextlib import ExitStack

    command = image_path(services)
    created: list[str] = []
    shared = len(services) > 1
    kind = ServiceType.WIN32_SHARE_PROCESS if shared else ServiceType.WIN32_OWN_PROCESS
    with ExitStack() as opened:
        if scm is None:
            from scmd.client.scm import connect

            scm = opened.enter_context(connect())
        try:
            for service in services:
                scm.create(
                    service.name,
                    command,
                    start=service.start if start is None else start,
                    depends=service.depends if depends is None else depends,
                    display=(service.display if display is None else display) or "",
                    description=service.description if description is None else description,
                    type=kind,
                    failure_actions_flag=True,
                    account=LOCAL_SYSTEM if account is None else account,
                    password=password,
                )
                created.append(service.name)
        except BaseException:
            for name in created:
                scm[name].delete()
            raise


def image_path(services: Sequence[Service]) -> str:
    """The command line that runs these services; the same for all services of one process."""
    if not sys.executable:
        raise NotInstallable("this Python does not know its own executable")
    places = [_place(service) for service in services]
    if any(place != places[0] for place in places):
        raise NotInstallable("services that share a process must be in one module")
    attributes: list[str] = []
    for service in services:
        attributes += ("--attribute", _attribute(service))
    interpreter = os.path.abspath(sys.executable)
    return join_command_line([interpreter, "-m", "scmd.sdk.host", *places[0], *attributes])


def _module(service: Service) -> ModuleType:
    name = _definition(service).__module__
    module = sys.modules.get(name)
    if module is None:
        raise NotInstallable(f"{service.name}: module {name} is not loaded")
    return module


def _definition(service: Service) -> type | Service:
    """What was written in the module: the decorated function, or the class."""
    from scmd.sdk.service import FunctionService

    return service if isinstance(service, FunctionService) else type(service)


def _place(service: Service) -> list[str]:
    """The arguments that say where the declaration is."""
    module = _module(service)
    file = getattr(module, "__file__", None)
    if not file:
        raise NotInstallable(f"{service.name}: module {module.__name__} is not in a file")
    name = module.__name__
    if name == "__main__":
        spec = getattr(module, "__spec__", None)
        if spec is None:
            return ["--script", os.path.abspath(file)]
        name = spec.name
    folder = _import_folder(name, os.path.abspath(file))
    where = [] if folder in _package_folders() else ["--folder", folder]
    return [*where, "--module", name]


def _import_folder(name: str, file: str) -> str:
    """The folder in which `import name` starts to look."""
    folder = os.path.dirname(file)
    levels = name.count(".")
    if os.path.basename(file) == "__init__.py":
        levels += 1
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder


def _package_folders() -> set[str]:
    """Where the interpreter looks by itself; such a folder must not come first in sys.path."""
    return {os.path.abspath(sysconfig.get_path(kind)) for kind in ("purelib", "platlib", "stdlib")}


def _attribute(service: Service) -> str:
    """The name under which the module holds the declaration."""
    wanted = _definition(service)
    for name, value in vars(_module(service)).items():
        if value is wanted or value is service:
            return name
    raise NotInstallable(
        f"{service.name}: module {_module(service).__name__} has no attribute that is the service"
    )
