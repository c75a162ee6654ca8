"""`govgate keyring`: what the keyring is, and what it rests sealed by."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NoReturn

import click
from pydantic import SecretStr

from gateway.adapters.keyring import Header, Keyring, header_of
from gateway.commands import settings
from gateway.sealing import Former, build_seal
from gateway.settings import Settings

CLEAR = "none: its secrets are in the clear"


@click.group()
def keyring() -> None:
    """What the records are encrypted under, and what seals it at rest."""


@keyring.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """Its ids and its seal, as its file tells them. No secret, and nobody is asked."""
    header = _header(settings())
    if as_json:
        told = {"id": header.id, "seal": header.seal, "keys": list(header.keks)}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"keyring  {header.id}")
    click.echo(f"seal     {header.seal or CLEAR}")
    for name in header.keks:
        click.echo(f"key      {name}")


@keyring.command()
@click.option(
    "--from", "former", help="The seal that it has now, where the setting names a new one."
)
@click.option(
    "--from-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with Vault's token for that seal; the default is GOVGATE_KEYRING__VAULT_TOKEN.",
)
def seal(former: str | None, from_token_file: Path | None) -> None:
    """Seal it by GOVGATE_KEYRING__SEAL: for the first time, anew, or in place of another seal.

    The file is replaced only once the new one was opened again. Gateways may run.
    """
    known = settings()
    new = build_seal(known)
    if new is None:
        _refuse("GOVGATE_KEYRING__SEAL is not set: there is nothing to seal it by")
    header = _header(known)
    old = new
    if former is not None:
        token = from_token_file and SecretStr(from_token_file.read_text().strip())
        old = build_seal(known, Former(former, token or None)) or new
    elif from_token_file is not None:
        raise click.UsageError("--from-token-file is for --from")
    Keyring.reseal(known.keyring_path, old, new)
    click.echo(f"{header.id}: sealed by {new.name}")
    click.echo("Older copies of the file and older backups are as they were.")


@keyring.command()
def unseal() -> None:
    """Write its secrets in the clear again, for its owner only."""
    known = settings()
    old = build_seal(known)
    if old is None:
        _refuse("GOVGATE_KEYRING__SEAL is not set: it says what opens the keyring")
    header = _header(known)
    if header.seal is None:
        _refuse(f"{header.id} is not sealed")
    Keyring.reseal(known.keyring_path, old, None)
    click.echo(f"{header.id}: in the clear. Unset GOVGATE_KEYRING__SEAL before the next start.")


def _header(known: Settings) -> Header:
    try:
        return header_of(known.keyring_path.read_bytes())
    except FileNotFoundError:
        _refuse(f"there is no keyring at {known.keyring_path}; the first start makes one")


def _refuse(why: str) -> NoReturn:
    click.echo(why, err=True)
    sys.exit(1)
