"""`homing acl`: the rights that homing needs on a server, as the line that grants them."""

import click

from homing.cli.profiles import rules


@click.command("acl")
@click.option("--prefix", help="What the names of all keys start with (default: homing).")
@click.option("--user", default="homing", show_default=True, help="The user's name.")
@click.option("--producer", is_flag=True, help="Only put jobs in: take none, and read no result.")
@click.option(
    "--with-config",
    is_flag=True,
    help="Also read the server's settings, its passwords among them (CONFIG GET).",
)
@click.option("--rules", "only_rules", is_flag=True, help="Print the rules alone.")
def command(prefix: str | None, user: str, producer: bool, with_config: bool, only_rules: bool) -> None:
    """Print the ACL SETUSER line for a user with just the rights that homing needs.

    The app, its workers and these commands need the first; a program that only puts jobs in needs
    --producer. doctor and durability="fsynced" read settings: --with-config lets them.

    Example: homing acl --user shop | sed s/PASSWORD/…/ | redis-cli
    """
    from homing.keys import check_id
    from homing.settings import Settings

    words = rules(Settings.load(prefix=prefix).prefix, producer=producer, config=with_config)
    if only_rules:
        click.echo(" ".join(words))
        return
    check_id(user)
    click.echo(" ".join(["ACL", "SETUSER", user, "reset", "on", ">PASSWORD", *words]))
    click.echo(
        f"Put a password in the place of PASSWORD; the URL is redis://{user}:PASSWORD@host:6379", err=True
    )
