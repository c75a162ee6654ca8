"""What the commands on the life of policies share: who asks, over what, and how it is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import msgspec

from gateway.adapters.packs import PackError, as_text, read_folder
from gateway.adapters.store.journal import SqlJournal
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.records import SqlRecords
from gateway.commands import operator, settings
from gateway.core.errors import GatewayError
from gateway.core.policies import PackFiles
from gateway.core.principal import Principal
from gateway.core.roles import Role
from gateway.lifecycle import Lifecycle, build_lifecycle
from gateway.payloads import open_payloads
from gateway.wiring import open_keyring

T = TypeVar("T")

actor = click.option("--as", "actor", help="Who does it; the default is the user of this system.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
note = click.option("--note", default="", help="What this is for. It is kept.")
why = click.option("--why", default="", help="Why. It goes on record.")
folder = click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)


def by(name: str | None) -> Principal:
    """Who is at the command line of the host has every role: the database is theirs."""
    return replace(operator(name), roles=(Role.ADMIN,))


def over(work: Callable[[Lifecycle], Awaitable[T]]) -> T:
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
        refuse(str(error))


def files_of(place: Path) -> PackFiles:
    """The files of a pack's directory; an end with its problems where they cannot be read."""
    try:
        return read_folder(place)
    except PackError as error:
        refuse(as_text(error.problems))


def show_json(value: object) -> None:
    """Print it as JSON, in lines."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def tell_change(change: Mapping[str, Any], locale: str = "en") -> None:
    """Print what becomes of a rule, in sentences, out of the evidence of a diff."""
    click.echo(f"{change['id']}: {change['what']}")
    before, after = ((change[side] or {}).get(locale) for side in ("before", "after"))
    sides = [("=", after)] if before == after else [("-", before), ("+", after)]
    phrases = [("-", change["phrases_removed"]), ("+", change["phrases_added"])]
    sides += [(sign, f"phrases: {', '.join(those)}") for sign, those in phrases if those]
    for sign, text in sides:
        if text is not None:
            click.echo(f"  {sign} {text}")
    for why in change["widens"]:
        click.echo(f"  more may pass: {why}")


def short(digest: str | None) -> str:
    """The first characters of a digest: enough for people."""
    return "-" if digest is None else digest.removeprefix("sha256:")[:12]


def refuse(words: str) -> NoReturn:
    """End with words on standard error."""
    click.echo(words, err=True)
    sys.exit(1)
