"""`homing demo`: an outbox of e-mails, delivered on both engines, with workers killed on the way."""

import click

from homing.cli.exits import DONE, FAILED
from homing.cli.output import is_rich, print_table


@click.command("demo")
def command() -> int:
    """Deliver an outbox of e-mails on both engines, killing workers on the way.

    Uses a server and a mail server of its own, on this machine alone; touches nothing of yours.
    Exit code 1 when a mail was lost.

    Example: homing demo
    """
    from homing.demo import play
    from homing.demo.result import epitaph
    from homing.demo.screen import Drawn, Lines

    screen = Drawn() if is_rich() else Lines()
    results, letters = [], []
    with play.own_server() as folder:
        for engine in play.ENGINES:
            result, dead = play.deliver(engine, screen, folder)
            results.append(result)
            letters += [(engine, *epitaph(job)) for job in dead]
    click.echo()
    print_table(("engine", "recipient", "died of"), letters, columns=90)
    click.echo()
    headers = ("engine", "sent", "retried", "dead", "killed workers", "duplicates", "lost", "seconds")
    rows = [
        (one.engine, one.sent, one.retried, one.dead, one.killed, one.duplicates, one.lost, one.seconds)
        for one in results
    ]
    print_table(headers, rows)
    lost = sum(one.lost for one in results)
    click.echo("\nEvery mail came home." if lost == 0 else f"\n{lost} mails were lost.")
    return FAILED if lost else DONE
