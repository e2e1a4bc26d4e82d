"""Where the process of an isolated task finds it: by the import that declared it in this process."""

import sys
from collections.abc import Mapping
from typing import Any, Protocol

from homing.errors import SettingsError
from homing.settings import Settings
from homing.worker.frames import Sought
from homing.worker.isolated import MAIN

_REMEDY = (
    "make the app and declare the task at the top of a module that any process can import, "
    'not in a function or under `if __name__ == "__main__"`'
)


class Program(Protocol):
    """An App, as far as its tasks are looked for."""

    settings: Settings

    @property
    def tasks(self) -> Mapping[str, Any]: ...


def sought(app: Program, task: Any, spec: str | None) -> Sought:
    """Where to look for a task: where the worker was told its app is (`module:attr`), or where it stands here.

    Raises SettingsError with the remedy when no module holds it.
    """
    if spec is not None:
        module, _, attribute = spec.partition(":")
        places = [(module, attribute)] if attribute else _held(module, app)
        return Sought(task.name, module, "", places)
    module, file = _source(task)
    held = [place for name in list(sys.modules) for place in _held(name, app, task)]
    # The program's own module has another name there, and is there only when the task is its.
    own = MAIN if file else module if task.declared_in == "__main__" else ""
    places = [(own if name == "__main__" else name, attribute) for name, attribute in held]
    places = [place for place in places if place[0]]
    if not places:
        raise not_found(task, "no module holds its app")
    return Sought(task.name, module or ("" if file else places[0][0]), file, places)


def not_found(task: Any, why: str) -> SettingsError:
    """What a worker says that cannot run an isolated task."""
    function = task.function
    return SettingsError(
        f"task {task.name!r} ({function.__module__}.{function.__qualname__}) has isolation='process', and a process "
        f"of its own does not find it: {why}; {_REMEDY}"
    )


def _held(name: str, *wanted: object) -> list[tuple[str, str]]:
    """The attributes of this module that are one of these."""
    names = getattr(sys.modules.get(name), "__dict__", None)
    if not isinstance(names, dict):  # what else may stand among the modules
        return []
    ids = set(map(id, wanted))
    return [(name, key) for key, value in list(names.items()) if id(value) in ids]


def _source(task: Any) -> tuple[str, str]:
    """The module to import, or the file to run when it is the program's own; neither for one declared in a thread."""
    module = task.declared_in
    if module != "__main__":
        return (module if module in sys.modules else ""), ""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":  # python -m
        return str(spec.name), ""
    file = str(getattr(main, "__file__", None) or "")
    if not file:
        raise not_found(task, "it is declared at a prompt, in a notebook or by `python -c`")
    return "", file
