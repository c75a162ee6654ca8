"""`govgate report`: what the ledger shows for a framework's requirements."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.adapters.store.figures import SqlFigures
from gateway.adapters.store.migrate import migrate
from gateway.commands import settings
from gateway.core.errors import GatewayError
from gateway.core.reports import Report, Span
from gateway.governance.reports.filling import FRAMEWORKS, filled
from gateway.governance.reports.rendering import RENDERED

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def _day(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    """A day or a time, UTC where it says nothing else."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter("give a day such as 2026-11-01, or a time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.argument("framework", type=click.Choice([*FRAMEWORKS]))
@click.option("--since", callback=_day, help="From this day; all there is, when not given.")
@click.option("--until", callback=_day, help="Before this day; now, when not given.")
@click.option("--org", default="default", show_default=True)
@click.option("--format", "form", type=click.Choice([*RENDERED]), default="md", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file to write.")
def report(
    framework: str,
    since: datetime | None,
    until: datetime | None,
    org: str,
    form: str,
    out: Path | None,
) -> None:
    """What the ledger shows for each requirement, and what it does not show.

    It states evidence and gaps; it never says that anybody complies.
    """
    now = datetime.now(UTC)
    span = Span(org, since or _BEGIN, until or now)
    if span.since >= span.until:
        raise click.UsageError("--since must be before --until")
    try:
        text = RENDERED[form](asyncio.run(_filled(framework, span, now)))
    except GatewayError as error:
        click.echo(error.message, err=True)
        sys.exit(1)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


async def _filled(framework: str, span: Span, now: datetime) -> Report:
    known = settings()
    await asyncio.to_thread(migrate, known.database_url)
    figures = SqlFigures(known.database_url)
    try:
        return await filled(FRAMEWORKS[framework], figures, span, now)
    finally:
        await figures.stop()
