"""Which App a command means: --app, HOMING_APP, or `app` in [tool.homing]."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from homing.errors import AppNotFound, HomingError

if TYPE_CHECKING:
    from homing.app import App

F = TypeVar("F", bound=Callable[..., Any])


def app_option(command: F) -> F:
    """Add --app, which `load` takes."""
    return click.option("--app", "-a", metavar="MODULE:ATTR", help="The App, e.g. tasks:app.")(command)


def spec(given: str | None) -> str | None:
    """The App's `module:attr` from the first that has it, None when nothing names one."""
    from homing.settings import Settings

    return Settings.load(app=given).app


def load(given: str | None) -> "App":
    """Import the App that is meant; AppNotFound has suggestions, or what its module raised."""
    from homing.discovery import load_app

    name = named(given)
    try:
        return load_app(name)
    except HomingError:
        raise
    except Exception as error:  # the user's module; its own traceback is what helps
        _show(error)
        raise AppNotFound(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _show(error: Exception) -> None:
    """The traceback on stderr, from the user's module on."""
    import traceback

    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    click.echo("".join(traceback.format_exception(error.with_traceback(frames))), nl=False, err=True)


def _is_ours(file: str) -> bool:
    if file.startswith("<frozen importlib") or file == importlib.__file__:
        return True
    return Path(file).is_relative_to(Path(__file__).parents[1])


def named(given: str | None) -> str:
    """As `spec`; AppNotFound says where to put it."""
    if (found := spec(given)) is None:
        raise AppNotFound(
            "no app is named: give it as module:attr, set HOMING_APP, "
            'or write app = "module:attr" under [tool.homing] in pyproject.toml'
        )
    return found
