"""The entry point of `homing`: finds the sub-command, and turns errors into a sentence and an exit code."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from homing.cli.exits import DONE, FAILED, INTERRUPTED, NO_SERVER, UNFIT, USAGE
from homing.errors import AppNotFound, HomingError, ServerError, ServerUnfit, SettingsError

#: Each sub-command and the module of homing.cli that has it under the same name.
COMMANDS = {
    "demo": "demo",
    "worker": "worker",
    "enqueue": "enqueue",
    "queues": "queues",
    "queue": "queue",
    "jobs": "jobs",
    "job": "job",
    "dead": "dead",
    "workers": "workers",
    "check": "check",
    "doctor": "doctor",
    "verify": "verify",
    "repair": "repair",
    "config": "config",
    "acl": "acl",
}


class LazyGroup(click.Group):
    """Imports a sub-command's module when it is asked for, in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"homing.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"homing {version('homing')}")
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def cli() -> None:
    """Every job comes home: a job and message queue on Redis and Valkey.

    \b
    Try it, with nothing else installed:  homing demo
    Run your own tasks:                   homing worker tasks:app

    Options come first, then HOMING_* variables, then [tool.homing] in pyproject.toml.
    Exit codes: 0 done, 1 something failed, 2 usage, 69 no server, 75 stopped with work handed back,
    78 the server would lose jobs, 130 interrupted.
    """  # noqa: D301 - click keeps the lines behind a \b as they are


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; no error of homing ends in a traceback."""
    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `homing jobs emails | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command line; everything that is printed is printed."""
    try:
        answer: Any = cli.main(arguments, prog_name="homing", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HomingError as error:
        _complain(error)
        return _code_of(error)
    return answer if isinstance(answer, int) else DONE


def _code_of(error: HomingError) -> int:
    if isinstance(error, ServerUnfit):
        return UNFIT
    if isinstance(error, ServerError):
        return NO_SERVER
    return USAGE if isinstance(error, SettingsError | AppNotFound) else FAILED


def _complain(error: HomingError) -> None:
    from homing.cli.output import escape

    lines = str(error).splitlines() or [type(error).__name__]
    click.echo("Error: " + "\n  ".join(map(escape, lines)), err=True)


if __name__ == "__main__":
    main()
