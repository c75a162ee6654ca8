"""`govgate policy bundle-key`: what OPA servers verify their bundles with."""

from __future__ import annotations

import click

from gateway.adapters.bundle_key import BundleKey
from gateway.commands import settings
from gateway.engines import bundle_key_path


@click.command("bundle-key")
def bundle_key() -> None:
    """Print the public key that OPA servers verify bundles with, as PEM.

    The key is made when there is none yet.
    """
    click.echo(BundleKey.open(bundle_key_path(settings())).public_pem, nl=False)
