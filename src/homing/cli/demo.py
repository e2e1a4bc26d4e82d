"""`homing demo`: an outbox of e-mails, delivered on both engines, with workers killed on the way."""

from typing import TYPE_CHECKING

import click

from homing.cli.exits import DONE, FAILED
from homing.cli.output import is_rich, print_table

if TYPE_CHECKING:
    from homing.demo.result import Result


@click.command("demo")
def command() -> int:
    """Deliver an outbox of e-mails on both engines, killing workers on the way.

    Uses a server and a mail server of its own, on this machine alone; touches nothing of yours.
    Exit code 1 when a mail was lost.

    Example: homing demo
    """
    from homing.demo import play, stage
    from homing.demo.result import epitaph
    from homing.demo.screen import Drawn, Lines

    stage.check()
    screen = Drawn() if is_rich() else Lines()
    results: list[Result] = []
    died: dict[tuple[str, str], None] = {}  # each once, in order
    with play.own_server() as folder:
        click.echo(
            f"{play.server_name()} on a socket of its own, a mail server on loopback, a supervised worker.\n"
        )
        for engine in play.ENGINES:
            result, dead = play.deliver(engine, screen, folder)
            results.append(result)
            died |= dict.fromkeys(map(epitaph, dead))
    return report(results, list(died))


def report(results: "list[Result]", died: list[tuple[str, str]]) -> int:
    """Print the dead letters and the table; the exit code."""
    if died:
        click.echo("\nDead letters, each with what the mail server said:\n")
        print_table(("mail to", "died of"), died, columns=100)
    click.echo()
    headers = ("engine", "sent", "retried", "dead", "killed workers", "duplicates", "lost", "seconds")
    rows = [
        (one.engine, one.sent, one.retried, one.dead, one.killed, one.duplicates, one.lost, one.seconds)
        for one in results
    ]
    print_table(headers, rows)
    lost = sum(one.lost for one in results)
    click.echo(f"\n{lost} mails did not arrive." if lost else "\nEvery mail came home.")
    return FAILED if lost else DONE
