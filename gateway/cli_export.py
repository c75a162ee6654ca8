"""`govgate audit export|sinks`: records handed out, and how those stand that get them anyway."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from gateway.adapters.archive import check_parquet, make_parquet
from gateway.adapters.store.bundles import SqlEvidence
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.commands import operator, settings
from gateway.core.bundles import BundleError
from gateway.core.errors import GatewayError
from gateway.core.exports import LogBroken
from gateway.core.records import Entry, Kind
from gateway.core.roles import Role
from gateway.exporting import Exporting, build_exporting
from gateway.governance.bundles import Chosen, write_bundle
from gateway.governance.exports import MASKED, Wanted
from gateway.governance.formats import FILES, FORMATS
from gateway.governance.formats.parquet import COLUMNS
from gateway.governance.sinks import PREFIX
from gateway.payloads import open_payloads
from gateway.settings import Settings
from gateway.wiring import DIALECTS, open_keyring

BUNDLE = "bundle"


def _time(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    """A time with its zone; UTC where it has none."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter("give a time such as 2026-11-22T10:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command("export")
@click.option("--format", "format", required=True, type=click.Choice([BUNDLE, *FORMATS, *FILES]),
              help="A bundle proves what it has, without a gateway.")  # fmt: skip
@click.option("--out", required=True, help="A file, which must not be there yet; - for stdout.")
@click.option("--from-leaf", type=click.IntRange(0), help="From this leaf of the log.")
@click.option("--to-leaf", type=click.IntRange(1), help="Up to this leaf, without it.")
@click.option("--since", callback=_time, help="From this time.")
@click.option("--until", callback=_time, help="Before this time.")
@click.option("--exchange", "exchanges", multiple=True, help="Of a bundle: an exchange's id.")
@click.option("--cursor", type=click.Path(dir_okay=False, path_type=Path),
              help="A file that says from which leaf to go on; written at the end.")  # fmt: skip
@click.option("--org", help="Only what is of this organisation; not of a bundle.")
@click.option("--content", type=click.Choice(["none", MASKED]), default="none",
              help="Of jsonl: what was said too, masked. Needs a reason.")  # fmt: skip
@click.option("--reason", default="", help="Why. It goes on record.")
@click.option("--as", "actor", help="Who exports; the default is the user of this system.")
def export(format: str, out: str, cursor: Path | None, org: str | None, content: str, reason: str,
           actor: str | None, **asked: Any) -> None:  # fmt: skip
    """Hand records out: nothing of what was said, but encrypted in a bundle, or masked.

    That it is done is recorded first.
    """
    known = settings()
    migrate(known.database_url)
    try:
        if format == BUNDLE:
            if cursor is not None or org is not None or content != "none" or out == "-":
                raise click.UsageError(
                    "a bundle takes no --cursor, --org or --content, and goes to a file"
                )
            asyncio.run(_bundle(known, Path(out), asked, reason, actor))
        else:
            if asked.pop("exchanges"):
                raise click.UsageError("--exchange is for bundles")
            if format in FILES:
                if out == "-":
                    raise click.UsageError(f"{format} goes to a file")
                check_parquet()
            begin = _begin(cursor, asked["from_leaf"])
            wanted = Wanted(begin, asked["to_leaf"], asked["since"], asked["until"], org,
                            content == MASKED)  # fmt: skip
            asyncio.run(_records(known, format, out, wanted, cursor, reason, actor))
    except (GatewayError, LogBroken, BundleError) as error:
        click.echo(str(getattr(error, "message", error)), err=True)
        sys.exit(1)


@click.command("sinks")
def sinks() -> None:
    """How far each sink is; exit code 1 when one waits."""
    known = settings()
    migrate(known.database_url)

    async def ask() -> Any:
        async with _exporting(known) as (exporting, _):
            return await exporting.sinks.standing(replace(operator(None), roles=(Role.ADMIN,)))

    size, stands = asyncio.run(ask())
    for one in stands:
        name, behind = one.name.removeprefix(PREFIX), size - one.position
        click.echo(f"{name:<24} {one.position:>12}  behind {behind}")
        if one.failed:
            click.echo(f"  WAITS  {one.failed}")
    sys.exit(1 if any(one.failed for one in stands) else 0)


async def _bundle(
    known: Settings, out: Path, asked: dict[str, Any], reason: str, actor: str | None
) -> None:
    chosen = Chosen(asked["from_leaf"], asked["to_leaf"], asked["since"], asked["until"],
                    asked["exchanges"])  # fmt: skip
    told = {name: str(value) for name, value in asked.items() if isinstance(value, int | datetime)}
    facts = {"of": BUNDLE, **told, "exchanges": list(asked["exchanges"])}
    async with _exporting(known) as (_, journal):
        entry = Entry(Kind.AUDIT_EXPORT, facts, {"reason": reason.encode()} if reason else {})
        stored = SqlEvidence(known.database_url, objects=open_payloads(known))
        with _made(out) as file, closing(stored) as evidence:
            await journal.note(operator(actor), entry)
            try:
                count = await asyncio.to_thread(write_bundle, file, evidence, chosen)
            except Exception:
                os.unlink(out)
                raise
    click.echo(f"{count} entries in {out}")


async def _records(
    known: Settings, format: str, out: str, wanted: Wanted, cursor: Path | None, reason: str,
    actor: str | None,
) -> None:  # fmt: skip
    async with _exporting(known) as (exporting, _):
        handed = await exporting.exports.hand(operator(actor), format, wanted, reason)
        with _rows_of(Path(out)) if format in FILES else _opened(out) as file:
            async for piece in handed.pieces:
                file.write(piece)
    if cursor is not None:
        _write_cursor(cursor, handed.next)


@asynccontextmanager
async def _exporting(known: Settings) -> AsyncIterator[tuple[Exporting, SqlJournal]]:
    """What exports, with a journal that runs; nothing is sent to any sink."""
    keyring = open_keyring(known)
    journal = SqlJournal(known.database_url, keyring)
    exporting = build_exporting(known, keyring, journal, DIALECTS)
    await journal.start()
    try:
        yield exporting, journal
    finally:
        await exporting.stop()
        await journal.stop()
        await exporting.finish()


def _made(out: Path) -> BinaryIO:
    """A new file; nothing is written over. Raises `FileExistsError`."""
    return out.open("xb")


@contextmanager
def _opened(out: str) -> Iterator[BinaryIO]:
    """Where records go. A file has all of them, for good, when it is closed."""
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _made(Path(out)) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _rows_of(out: Path) -> Iterator[BinaryIO]:
    """Where rows go, of all of which the new file `out` is made; none is left where it fails."""
    with _opened(str(out)) as file:
        try:
            with tempfile.TemporaryDirectory(prefix="govgate-export-") as folder:
                rows, made = Path(folder, "rows.jsonl"), Path(folder, "rows.parquet")
                with rows.open("wb") as lines:
                    yield lines
                make_parquet(rows, COLUMNS, made)
                with made.open("rb") as whole:
                    shutil.copyfileobj(whole, file)
        except BaseException:
            out.unlink()
            raise


def _begin(cursor: Path | None, given: int | None) -> int:
    """The leaf to begin at. Raises `click.UsageError` for a cursor that says none."""
    if cursor is None or not cursor.exists():
        return given or 0
    if given is not None:
        raise click.UsageError(f"{cursor} says where to go on: --from-leaf is one too many")
    text = cursor.read_text().strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise click.UsageError(f"{cursor} holds no cursor")
    return int(text)


def _write_cursor(cursor: Path, place: int) -> None:
    """Written beside and renamed, so that it is never half a number."""
    with tempfile.NamedTemporaryFile("w", dir=cursor.parent, delete=False) as file:
        file.write(f"{place}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, cursor)
