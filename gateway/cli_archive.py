"""`govgate audit archive`: the record as Parquet files, for whoever computes over all of it."""

from __future__ import annotations

import asyncio
import sys

import click

from gateway.adapters.archive import parquet
from gateway.adapters.objects import open_objects
from gateway.adapters.store.archiving import SqlArchiveSource
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.commands import operator, settings
from gateway.core.errors import GatewayError
from gateway.core.records import Entry, Kind
from gateway.governance.archives import Archives, Written
from gateway.payloads import url_of
from gateway.wiring import open_keyring


@click.command()
@click.option("--to", "place", required=True, help="A folder, or s3://bucket/prefix.")
@click.option("--as", "actor", help="Who does it; the default is the user of this system.")
def archive(place: str, actor: str | None) -> None:
    """Write the exchanges that are new in the log as Parquet files, by month.

    Each place is an archive of its own, which a later run goes on with. Nothing
    that was said is in it, nor who said it.
    """
    url = url_of(place)
    try:
        done = asyncio.run(_archive(url, actor))
    except GatewayError as error:
        click.echo(error.message, err=True)
        sys.exit(1)
    click.echo(f"{done.exchanges} exchanges in {done.files} files; done up to leaf {done.end}")


async def _archive(url: str, actor: str | None) -> Written:
    known = settings()
    objects = open_objects(url, known.objects.access)
    await asyncio.to_thread(migrate, known.database_url)
    source = SqlArchiveSource(known.database_url, f"archive:{url}")
    journal = SqlJournal(known.database_url, open_keyring(known))

    async def note() -> None:
        await journal.start()
        entry = Entry(Kind.AUDIT_EXPORT, {"of": "archive"}, {"reason": url.encode()})
        await journal.note(operator(actor), entry)

    try:
        return await Archives(source, objects, parquet, note).run()
    finally:
        await journal.stop()
        await source.stop()
