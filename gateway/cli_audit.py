"""`govgate audit`: everything that is asked of the records."""

from __future__ import annotations

import click

from gateway.cli_archive import archive
from gateway.cli_erasure import erase, hold, subject_export
from gateway.cli_export import export, sinks
from gateway.cli_log import log
from gateway.cli_objects import sweep
from gateway.cli_query import explain, query, reindex, session, show
from gateway.cli_upkeep import prune
from gateway.cli_verify import verify_command


@click.group()
def audit() -> None:
    """Find, prove, export and erase records."""


audit.add_command(log)
audit.add_command(verify_command)
audit.add_command(archive)
for command in (query, show, explain, session, reindex, erase, hold, subject_export, export, sinks):
    audit.add_command(command)
audit.add_command(prune)
audit.add_command(sweep)
