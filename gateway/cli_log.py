"""`govgate audit log`: the log's key, its last checkpoint, proofs; going on after a restore."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing

import click

from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log import RolledBack
from gateway.adapters.store.proofs import SqlLogView
from gateway.commands import operator, settings
from gateway.core.records import Entry, Kind
from gateway.notary import open_log
from gateway.settings import Settings
from gateway.wiring import open_keyring


@click.group()
def log() -> None:
    """The log that every record is in."""


@log.command()
def state() -> None:
    """How the log stands: its key, its size, what is signed; exit code 1 when it stands still."""
    known = settings()
    with closing(open_log(known, open_keyring(known))) as found:
        problem = None
        try:
            found.open()
        except RolledBack as error:
            problem = str(error)
        now = found.state
    click.echo(f"key      {found.vkey or 'none'}")
    click.echo(f"entries  {now.size}")
    click.echo(f"signed   {now.signed}  {now.signed_at or ''}".rstrip())
    if known.ledger.anchors or now.anchored:
        click.echo(f"anchored {now.anchored}  {now.anchored_at or ''}".rstrip())
    if problem or now.problem:
        click.echo(f"PROBLEM  {problem or now.problem}")
        sys.exit(1)


@log.command()
def checkpoint() -> None:
    """Print the last checkpoint: keep it where nobody who writes the records can change it."""
    note = asyncio.run(_with_view(settings(), lambda view: view.checkpoint()))
    if note is None:
        click.echo("nothing has been signed yet", err=True)
        sys.exit(1)
    click.echo(note, nl=False)


@log.command()
@click.argument("id")
@click.option("--org", default="default", show_default=True)
def proof(id: str, org: str) -> None:
    """Prove that the log has a record: an entry's id, a leaf hash, or an exchange's id."""
    text = asyncio.run(_with_view(settings(), lambda view: view.proof(org, id)))
    if text is None:
        click.echo(f"no entry that is signed for has the id {id}", err=True)
        sys.exit(1)
    click.echo(text, nl=False)


@log.command()
@click.option("--reason", required=True, help="Why the database is older than what was signed.")
@click.option("--as", "actor", help="Who says so; the default is the user of this system.")
def restored(reason: str, actor: str | None) -> None:
    """Go on with a database that was restored, under a new key.

    What was signed before stays provable under the old key, up to where the
    restored database ends. That something is missing is itself recorded.
    """
    known = settings()
    keyring = open_keyring(known)
    with closing(open_log(known, keyring)) as found:
        last, fresh = found.restart()
        facts = {
            "signed_before": None if last is None else last.size,
            "root_before": None if last is None else last.root.hex(),
            "goes_on_from": fresh.size,
            "log": fresh.origin,
        }

        async def note() -> None:
            journal = SqlJournal(known.database_url, keyring)
            await journal.start()
            try:
                entry = Entry(Kind.LOG_RESTORED, facts, {"reason": reason.encode()})
                await journal.note(operator(actor), entry)
            finally:
                await journal.stop()

        asyncio.run(note())
        found.catch_up()
        click.echo(f"the log goes on as {fresh.origin}, from entry {fresh.size}")
        click.echo(f"its key is {found.vkey}")


async def _with_view(
    known: Settings, work: Callable[[SqlLogView], Awaitable[str | None]]
) -> str | None:
    log = open_log(known, open_keyring(known))
    view = SqlLogView(known.database_url, log)
    try:
        return await work(view)
    finally:
        await view.stop()
        log.close()
