"""Find an App by `module:attr`, and say what was probably meant when there is none."""

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from types import FunctionType
from typing import TYPE_CHECKING, TypeGuard

from homing.errors import AppNotFound

if TYPE_CHECKING:
    from types import ModuleType

    from homing.app import App


def load_app(spec: str) -> "App":
    """Import `module:attr`, the current folder first on the path; `module` alone means its only App.

    Raises AppNotFound with suggestions. What the module itself raises goes through as it is.
    """
    name, colon, attribute = spec.partition(":")
    if not name or (colon and not attribute):
        raise AppNotFound(f"{spec!r} names no app: write module:attr, e.g. tasks:app")
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - sys.path holds strings
        sys.path.insert(0, here)
    module = _import(name)
    return _attribute(module, attribute) if attribute else _only(module)


def _import(name: str) -> "ModuleType":
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that it imports, and not itself, is its own affair.
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        hint = _did_you_mean(name, _modules_here())
        raise AppNotFound(f"there is no module {name!r} here or on the path{hint}") from None


def _attribute(module: "ModuleType", attribute: str) -> "App":
    found: object = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if _is_app(found):
        return found
    apps = _apps(module)
    if found is not None:
        raise AppNotFound(
            f"{module.__name__}:{attribute} is of type {type(found).__name__}, not an App"
            f"{_there_are(module, apps, made_by=attribute if isinstance(found, FunctionType) else 'App')}"
        )
    hint = _did_you_mean(attribute, apps) or _there_are(module, apps)
    raise AppNotFound(f"module {module.__name__!r} has no {attribute!r}{hint}")


def _only(module: "ModuleType") -> "App":
    apps = _apps(module)
    if len(apps) == 1:
        return apps.popitem()[1]
    raise AppNotFound(
        f"module {module.__name__!r} has {'several Apps' if apps else 'no App'}{_there_are(module, apps)}"
    )


def _apps(module: "ModuleType") -> "dict[str, App]":
    return {name: value for name, value in vars(module).items() if _is_app(value)}


def _is_app(value: object) -> "TypeGuard[App]":
    """Whether it is an App, or of a subclass: known by name, since an app stands above what starts it."""
    return any((kind.__module__, kind.__qualname__) == ("homing.app", "App") for kind in type(value).__mro__)


def _there_are(module: "ModuleType", apps: Iterable[str], made_by: str = "App") -> str:
    names = " or ".join(f"{module.__name__}:{name}" for name in apps)
    return f"; name {names}" if names else f"; make one: app = {made_by}()"


def _did_you_mean(name: str, among: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(among), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _modules_here() -> list[str]:
    """The modules and packages of the current folder, and one level below."""
    found = []
    for entry in os.scandir():
        if entry.name.endswith(".py"):
            found.append(entry.name[:-3])
        elif entry.is_dir() and entry.name.isidentifier():
            found.append(entry.name)
            found += [f"{entry.name}.{file[:-3]}" for file in os.listdir(entry) if file.endswith(".py")]  # noqa: PTH208
    return found
