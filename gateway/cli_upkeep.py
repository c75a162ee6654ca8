"""`govgate audit prune`, `backup`, `restore`, `database`: looking after what is kept."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click

from gateway.adapters.backup import Backup, BackupError
from gateway.adapters.store.copies import CopyError, kind_of
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.log import RolledBack
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.pruning import Plan, SqlPruning
from gateway.adapters.store.records import SqlRecords
from gateway.adapters.store.roles import ROLES, apply, statements
from gateway.commands import operator, settings
from gateway.erasing import build_erasing
from gateway.notary import open_log
from gateway.payloads import delete_gone
from gateway.settings import Settings
from gateway.upkeep import bring_back, load_schedule, make_backup, verified
from gateway.wiring import open_keyring

_passphrase = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that holds a passphrase for the keys in it.",
)


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; delete nothing.")
@click.option("--as", "actor", help="Who does it; the default is the user of this system.")
def prune(dry_run: bool, actor: str | None) -> None:
    """Delete payloads whose time is over, and put it on record.

    Gateways do so every hour by themselves.
    """
    known = settings()
    schedule = load_schedule(known.retention)
    for said in schedule.overlaps():
        click.echo(f"note: {said}", err=True)
    migrate(known.database_url)
    pruning = SqlPruning(known.database_url, schedule, lambda org: operator(actor, org))
    try:
        _prune(pruning, dry_run)
    finally:
        pruning.stop()
    if not dry_run and (count := asyncio.run(delete_gone(known))):
        click.echo(f"deleted: {count} objects of payloads that are gone")


def _prune(pruning: SqlPruning, dry_run: bool) -> None:
    if dry_run:
        _show("would delete", pruning.plan())
        return
    if not pruning.allowed():
        _refuse(RuntimeError("this role may not delete payloads: log in as a govgate_retention"))
    if not pruning.begin():
        click.echo("another process prunes now: try again later", err=True)
        sys.exit(1)
    try:
        while pruning.step():
            pass
    finally:
        pruning.finish()
    _show("deleted", pruning.done)


def _show(what: str, plan: Plan) -> None:
    if not plan.exchanges:
        click.echo("nothing is due")
    for name, count in sorted(plan.exchanges.items()):
        click.echo(f"{what}: class {name}, {count} exchanges, {plan.entries[name]} entries")
    if plan.held:
        click.echo(f"kept by legal holds: {len(plan.held)} exchanges")


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A folder, made anew.")
@_passphrase
def backup(out: Path, passphrase_file: Path | None) -> None:
    """Copy the records and all that they rest on, while the gateway runs.

    Without a passphrase, whoever has the copy can read every record.
    """
    known = settings()
    try:
        manifest = make_backup(known, open_keyring(known).id, out, _secret(passphrase_file))
    except (BackupError, CopyError, RuntimeError) as error:
        _refuse(error)
    click.echo(f"{out}: {manifest.log.size} entries in the log, root {manifest.log.root}")


@click.command()
@click.option("--from", "folder", required=True, help="The backup's folder.",
              type=click.Path(exists=True, file_okay=False, path_type=Path))  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there.")
@_passphrase
def restore(folder: Path, force: bool, passphrase_file: Path | None) -> None:
    """Put a backup back, and prove it. No gateway may run.

    Erased stays erased. Where this host has signed more than the backup holds, you are told
    how to go on.
    """
    known = settings()
    try:
        found = Backup.opened(folder, _secret(passphrase_file))
        bring_back(known, found, force=force)
        migrate(known.database_url)
        asyncio.run(_erase_again(known))
        report = verified(known)
    except (BackupError, CopyError) as error:
        _refuse(error)
    click.echo(f"restored: {report.entries} entries, {report.parts} payloads hashed again")
    if not report.good:
        for problem in sorted(report.problems)[:20]:
            click.echo(f"  {problem}")
        _refuse(RuntimeError("the records are NOT what was written"))
    click.echo(f"good: root {report.root}")
    if report.unchecked:
        click.echo(f"{report.unchecked} payloads in object storage not checked")
    _check_signed(known)


def _check_signed(known: Settings) -> None:
    """Hold the restored log against what this host signed."""
    with closing(open_log(known, open_keyring(known))) as log:
        try:
            log.open()
        except RolledBack as error:
            click.echo(
                f"{error}. To go on with it, run `govgate audit log restored --reason …`", err=True
            )
            sys.exit(1)


async def _erase_again(known: Settings) -> None:
    """Destroy what the backup brought back and was erased since."""
    keyring = open_keyring(known)
    journal = SqlJournal(known.database_url, keyring)
    records = SqlRecords(known.database_url, keyring)
    erasing = build_erasing(known, keyring, journal, records)
    try:
        await erasing.reapply()
    finally:
        journal.engine.dispose()
        await erasing.stop()
        await records.stop()


@click.group()
def database() -> None:
    """The database itself."""


@database.command()
@click.option("--sql", "how", flag_value="sql", help="Print the statements.")
@click.option("--apply", "how", flag_value="apply", help="Run them; as the owner of the tables.")
def roles(how: str | None) -> None:
    """Give PostgreSQL a role for each duty, with no more rights than it needs."""
    if how is None:
        raise click.UsageError("give --sql or --apply")
    if how == "sql":
        click.echo(";\n".join(statements()) + ";")
        return
    known = settings()
    if kind_of(known.database_url) != "postgresql":
        _refuse(RuntimeError("SQLite has no roles: GOVGATE_DATABASE__URL is of a file"))
    migrate(known.database_url)
    engine = open_engine(known.database_url, 60.0)
    try:
        with engine.begin() as connection:
            apply(connection)
    finally:
        engine.dispose()
    click.echo(f"roles: {', '.join(ROLES)}")


def _secret(path: Path | None) -> bytes | None:
    if path is None:
        return None
    secret = path.read_bytes().strip()
    if not secret:
        _refuse(RuntimeError(f"{path} holds no passphrase"))
    return secret


def _refuse(error: Exception) -> NoReturn:
    click.echo(str(error), err=True)
    sys.exit(1)
