"""Which App a command means: --app, HOMING_APP, or `app` in [tool.homing]."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from homing.errors import AppNotFound

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
    """Import the App that is meant; AppNotFound has suggestions."""
    from homing.discovery import load_app

    return load_app(named(given))


def named(given: str | None) -> str:
    """As `spec`; AppNotFound says where to put it."""
    if (found := spec(given)) is None:
        raise AppNotFound(
            "no app is named: give --app module:attr, set HOMING_APP, "
            'or write app = "module:attr" under [tool.homing] in pyproject.toml'
        )
    return found
