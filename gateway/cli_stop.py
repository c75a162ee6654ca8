"""`govgate policy stop|stops|resume`: refuse an app, a key, a model or a tool, at once."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from gateway.cli_policy_desk import actor as actor_option
from gateway.cli_policy_desk import by, over
from gateway.core.policies import Stop, Stopped

_reason = click.option("--reason", required=True, help="Why. It goes on record.")


@click.command()
@click.argument("what", type=click.Choice([str(what) for what in Stopped]), metavar="WHAT")
@click.argument("name", default="")
@_reason
@actor_option
def stop(what: str, name: str, reason: str, actor: str | None) -> None:
    """Refuse an app, key, model or tool, or everything, from now on. Prints the stop's id.

    In NAME, * stands for any run of characters. Running answers are broken off.
    """
    made = over(lambda known: known.stops.stop(Stopped(what), name, reason, by(actor)))
    click.echo(made.id)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stops(as_json: bool) -> None:
    """What is stopped now, the newest first."""
    standing = over(lambda known: known.stops.standing())
    newest = sorted(standing, key=lambda one: one.at, reverse=True)
    if as_json:
        click.echo(json.dumps([_row(one) for one in newest], indent=2))
        return
    for one in newest:
        at = one.at.isoformat(timespec="seconds")
        click.echo(f"{one.id}  {one.what:<10} {one.name}  by {one.by} at {at}: {one.reason}")


@click.command()
@click.argument("stop_id")
@_reason
@actor_option
def resume(stop_id: str, reason: str, actor: str | None) -> None:
    """Lift a stop."""
    over(lambda known: known.stops.resume(stop_id, reason, by(actor)))
    click.echo(f"lifted: {stop_id}")


def _row(one: Stop) -> dict[str, str | None]:
    told = asdict(one)
    return {name: told[name] for name in ("id", "what", "name", "reason", "by")} | {
        "at": one.at.isoformat()
    }
