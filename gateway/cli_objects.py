"""`govgate audit sweep`: object storage without what belongs to no payload."""

from __future__ import annotations

import sys
from contextlib import closing

import click

from gateway.adapters.store.migrate import migrate
from gateway.commands import settings
from gateway.payloads import open_gone, open_payloads


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; delete nothing.")
def sweep(dry_run: bool) -> None:
    """Delete objects that are older than a day and belong to no payload.

    Who died between an object and its commit left them; nobody can read them. Not for a
    database that was restored or copied: what is newer than it belongs to none of its payloads.
    """
    known = settings()
    migrate(known.database_url)
    gone = open_gone(known, open_payloads(known))
    if gone is None:
        click.echo("all payloads are in the database: GOVGATE_OBJECTS__URL is not set", err=True)
        sys.exit(1)
    count = 0
    with closing(gone):
        for name in gone.strays():
            if not dry_run:
                gone.remove([name])
            count += 1
    click.echo(f"{'would delete' if dry_run else 'deleted'}: {count} objects")
