"""`homing config`: every setting, its value and where it came from."""

import click

from homing.cli.output import Cell, print_json, print_table


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """Print each setting, its value and where it came from.

    Passwords and secrets are masked.

    Example: HOMING_URL=redis://localhost homing config
    """
    from homing.settings import Settings, described

    settings = Settings.load()
    values, sources, meanings = settings.shown(), settings.sources(), described()
    if as_json:
        print_json({name: {"value": value, "source": sources[name]} for name, value in values.items()})
        return
    rows: list[list[Cell]] = []
    for name, value in values.items():
        unit, meaning = meanings[name]
        shown = (
            "" if value is None else str(int(value) if isinstance(value, float) and value % 1 == 0 else value)
        )
        rows.append(
            [
                name,
                shown,
                sources[name],
                meaning if unit in ("text", "secret", "path") else f"{unit}: {meaning}",
            ]
        )
    print_table(("setting", "value", "from", "what it is"), rows, columns=200)
