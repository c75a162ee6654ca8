"""`govgate policy stop|stops|resume`: refuse an app, a key, a model or a tool, at once."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import TypeVar

import click

from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.records import SqlRecords
from gateway.commands import operator, settings
from gateway.core.errors import GatewayError
from gateway.core.policies import Stop, Stopped
from gateway.core.principal import Principal
from gateway.core.roles import Role
from gateway.lifecycle import Lifecycle, build_lifecycle
from gateway.payloads import open_payloads
from gateway.wiring import open_keyring

T = TypeVar("T")

_reason = click.option("--reason", required=True, help="Why. It goes on record.")
_actor = click.option("--as", "actor", help="Who does it; the default is the user of this system.")


@click.command()
@click.argument("what", type=click.Choice([str(what) for what in Stopped]), metavar="WHAT")
@click.argument("name", default="")
@_reason
@_actor
def stop(what: str, name: str, reason: str, actor: str | None) -> None:
    """Refuse an app, key, model or tool, or everything, from now on. Prints the stop's id.

    In NAME, * stands for any run of characters. Running answers are broken off.
    """
    made = _with(lambda known: known.stops.stop(Stopped(what), name, reason, _by(actor)))
    click.echo(made.id)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stops(as_json: bool) -> None:
    """What is stopped now, the newest first."""
    standing = _with(lambda known: known.stops.standing())
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
@_actor
def resume(stop_id: str, reason: str, actor: str | None) -> None:
    """Lift a stop."""
    _with(lambda known: known.stops.resume(stop_id, reason, _by(actor)))
    click.echo(f"lifted: {stop_id}")


def _by(actor: str | None) -> Principal:
    """Who is at the command line of the host may stop: they could end the gateway too."""
    return replace(operator(actor), roles=(Role.ADMIN,))


def _row(one: Stop) -> dict[str, str | None]:
    told = asdict(one)
    return {name: told[name] for name in ("id", "what", "name", "reason", "by")} | {
        "at": one.at.isoformat()
    }


def _with(work: Callable[[Lifecycle], Awaitable[T]]) -> T:
    """Do `work` over the database of the settings; a refusal ends the command in words."""
    known = settings()
    migrate(known.database_url)
    keyring = open_keyring(known)

    async def run() -> T:
        journal = SqlJournal(known.database_url, keyring)
        records = SqlRecords(known.database_url, keyring, objects=open_payloads(known))
        lifecycle = build_lifecycle(known, journal, records)
        try:
            await journal.start()
            return await work(lifecycle)
        finally:
            await journal.stop()
            await lifecycle.stop()
            await records.stop()

    try:
        return asyncio.run(run())
    except (GatewayError, ValueError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
