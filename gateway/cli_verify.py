"""`govgate audit verify`: prove a ledger, without the gateway."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from gateway.commands import settings
from gateway.core.note_keys import NoteError, Verifier
from gateway.core.objects import ObjectsError
from gateway.payloads import reader_at
from gateway.verifier.bundle import verify_bundle
from gateway.verifier.databases import read_postgresql, read_sqlite
from gateway.verifier.report import Report
from gateway.verifier.rows import Source
from gateway.verifier.verify import Trusted, verify

_NOT_GOOD, _UNCHECKED = 1, 3


@click.command("verify")
@click.argument("ledger", required=True)
@click.option(
    "--log", "logs", multiple=True, required=True, help="The log's public key. Repeatable."
)
@click.option("--witness", "witnesses", multiple=True, help="A witness's public key. Repeatable.")
@click.option("--checkpoint", "notes", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="A checkpoint that you have kept, in a file. Repeatable.")  # fmt: skip
@click.option(
    "--objects", "place", help="Where large payloads are: a folder, or s3://bucket/prefix."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify_command(
    ledger: str,
    logs: Sequence[str],
    witnesses: Sequence[str],
    notes: Sequence[Path],
    place: str | None,
    as_json: bool,
) -> None:
    """Hash every stored byte again, and check every place and signature.

    LEDGER is a SQLite file, a PostgreSQL URL, or a bundle (.zip). Exit code 1 when anything is
    not as it was written, 2 when it cannot be read; 3 when all that is here is good, and
    payloads in object storage were not checked.
    """
    try:
        trusted = Trusted(
            [Verifier.decoded(key) for key in logs],
            [Verifier.decoded(key) for key in witnesses],
            [path.read_text() for path in notes],
        )
        report = _verified(ledger, trusted, place)
    except (NoteError, ObjectsError, OSError, sqlite3.Error) as error:
        click.echo(f"cannot verify: {error}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        _show(report)
    sys.exit(_NOT_GOOD if not report.good else _UNCHECKED if report.unchecked else 0)


def _verified(ledger: str, trusted: Trusted, place: str | None) -> Report:
    if ledger.endswith(".zip"):
        return verify_bundle(Path(ledger), trusted)
    with _opened(ledger) as source:
        return verify(
            source, trusted, None if place is None else reader_at(place, settings().objects.access)
        )


@contextmanager
def _opened(ledger: str) -> Iterator[Source]:
    if ledger.startswith("postgresql"):
        _, _, rest = ledger.partition("://")
        with read_postgresql(f"postgresql://{rest}") as source:
            yield source
        return
    path = Path(ledger.removeprefix("sqlite:///"))
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with read_sqlite(path) as source:
        yield source


def _show(report: Report) -> None:
    click.echo(f"{report.entries} entries, {report.parts} payloads hashed again")
    click.echo(f"{report.checkpoints} checkpoints; signed for are {report.signed} entries")
    for witness, size in sorted(report.cosigned.items()):
        click.echo(f"co-signed by {witness}: {size} entries")
    if report.objects:
        click.echo(f"{report.objects} payloads in object storage hashed again")
    if report.erased:
        click.echo(
            f"{report.erased} payloads in object storage deleted, as their keys are destroyed"
        )
    if report.unchecked:
        click.echo(f"{report.unchecked} payloads in object storage not checked")
    if report.waiting:
        click.echo(f"{report.waiting} entries are not in the log yet")
    if report.open:
        click.echo(f"{report.open} exchanges have not ended")
    if report.pruned:
        click.echo(f"{report.pruned} entries without their payloads, deleted in due time")
    if report.good:
        click.echo(f"good: root {report.root}")
        return
    click.echo(f"NOT GOOD: {report.problem_count} problems; the first in the log:")
    for problem in sorted(report.problems)[:20]:
        click.echo(f"  {problem}")
