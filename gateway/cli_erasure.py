"""`govgate audit erase|hold|subject-export`: what is erased, what must not be, who knows what."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.sealing import Tampered
from gateway.commands import operator, settings
from gateway.core.erasures import UnderHold
from gateway.core.errors import GatewayError
from gateway.core.legal_holds import Hold, Wanted
from gateway.erasing import Erasing, build_erasing
from gateway.payloads import open_payloads
from gateway.wiring import open_keyring

T = TypeVar("T")

_org = click.option("--org", default="default", show_default=True)
_reason = click.option("--reason", required=True, help="Why. It goes on record; name nobody.")
_actor = click.option("--as", "actor", help="Who does it; the default is the user of this system.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.option("--subject", help="Whose records: user:NAME or app:NAME.")
@click.option("--value", help="A value wherever it stands, such as an e-mail address.")
@click.option("--label", help="What kind of value it was found as, such as EMAIL_ADDRESS.")
@_reason
@_org
@_actor
def erase(
    subject: str | None,
    value: str | None,
    label: str | None,
    reason: str,
    org: str,
    actor: str | None,
) -> None:
    """Destroy the key of a person's records, or of one value. It cannot be undone."""
    if (subject is None) == (value is None):
        raise click.UsageError("give --subject or --value, one of them")
    if label is not None and value is None:
        raise click.UsageError("--label is for --value")
    by = operator(actor, org)
    if subject is not None:
        wanted = subject
        done = _with(lambda parts: parts.erasures.erase_subject(org, wanted, by, reason))
    else:
        said = value or ""
        done = _with(lambda parts: parts.erasures.erase_value(org, label, said, by, reason))
    if not done.keys:
        click.echo("nothing on record to erase")
        return
    click.echo(f"erased: {', '.join(done.keys)}; in {done.touched} exchanges")
    if done.exchanges:
        click.echo(f"erased with all the rest: {', '.join(done.exchanges)}")


@click.group()
def hold() -> None:
    """Legal holds: what must be kept."""


def _time(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter("give a time such as 2026-11-22T10:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@hold.command()
@click.option("--team", help="Only of this team.")
@click.option("--app", help="Only of this application.")
@click.option("--subject", help="Only of user:NAME or app:NAME.")
@click.option("--value", help="Only where this value stands.")
@click.option("--exchange", "exchanges", multiple=True, help="Only this exchange. Repeatable.")
@click.option("--since", callback=_time, help="Only from this time; UTC where it has no zone.")
@click.option("--until", callback=_time, help="Only before this time.")
@_reason
@_org
@_actor
def place(reason: str, org: str, actor: str | None, **wanted: Any) -> None:
    """Keep records from being erased or pruned: all, or those that each option holds for."""
    made = _with(
        lambda parts: parts.holds.place(org, Wanted(**wanted), reason, operator(actor, org))
    )
    click.echo(made.id)


@hold.command("list")
@_org
@_as_json
def list_(org: str, as_json: bool) -> None:
    """Every hold that there ever was, the newest first. People and values stand as hashes."""
    rows = [_row(one) for one in _with(lambda parts: parts.holds.listed(org))]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        scope = ", ".join(row["scope"]) or "everything"
        click.echo(f"{row['id']}  {row['state']:<11} {row['placed_by']}  {scope}")


@hold.command("ask-lift")
@click.argument("hold_id")
@_org
@_actor
def ask_lift(hold_id: str, org: str, actor: str | None) -> None:
    """Ask that a hold be lifted; another person lifts it."""
    _with(lambda parts: parts.holds.ask_lift(org, hold_id, operator(actor, org)))
    click.echo(f"asked: {hold_id}")


@hold.command()
@click.argument("hold_id")
@_org
@_actor
def lift(hold_id: str, org: str, actor: str | None) -> None:
    """Lift a hold that another person has asked to lift."""
    _with(lambda parts: parts.holds.lift(org, hold_id, operator(actor, org)))
    click.echo(f"lifted: {hold_id}")


@click.command("subject-export")
@click.option("--subject", required=True, help="About whom: user:NAME or app:NAME.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file, made anew.")
@click.option("--reason", default="GDPR Art. 15", show_default=True, help="Why.")
@_org
@_actor
def subject_export(subject: str, out: Path, reason: str, org: str, actor: str | None) -> None:
    """Write all that is on record about one person, in clear. That it is done is recorded first."""

    async def export(parts: Erasing) -> int:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            about, exchanges = await parts.exports.export(
                org, subject, operator(actor, org), reason
            )
            async for text in _document(about, exchanges):
                file.write(text)
        return int(about["count"])

    click.echo(f"{out}: {_with(export)} exchanges")


async def _document(
    about: dict[str, Any], exchanges: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[str]:
    """One JSON object, an exchange at a time."""
    yield json.dumps(about, ensure_ascii=False)[:-1] + ', "exchanges": ['
    between = "\n"
    async for exchange in exchanges:
        yield between + json.dumps(exchange, ensure_ascii=False)
        between = ",\n"
    yield "\n]}\n"


def _row(one: Hold) -> dict[str, Any]:
    moments = {
        name: value and value.isoformat(timespec="seconds")
        for name, value in asdict(one).items()
        if name.endswith("_at")
    }
    state = "lifted" if one.lifted_at else "lift asked" if one.lift_asked_by else "stands"
    return {
        "id": one.id,
        "org": one.org,
        "state": state,
        "scope": one.scope.as_json(),
        "reason": one.reason,
        "placed_by": one.placed_by,
        "lift_asked_by": one.lift_asked_by,
        "lifted_by": one.lifted_by,
        **moments,
    }


def _with(work: Callable[[Erasing], Awaitable[T]]) -> T:
    """Do `work` over the database of the settings; a refusal ends the command in words."""
    known = settings()
    migrate(known.database_url)
    keyring = open_keyring(known)

    async def run() -> T:
        journal = SqlJournal(known.database_url, keyring)
        records = SqlRecords(known.database_url, keyring, objects=open_payloads(known))
        parts = build_erasing(known, keyring, journal, records)
        try:
            await parts.reapply()
            await journal.start()
            await parts.start()
            return await work(parts)
        finally:
            await journal.stop()
            await parts.stop()
            await records.stop()

    try:
        return asyncio.run(run())
    except (UnderHold, GatewayError, Tampered, ValueError, FileExistsError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
