"""`govgate witness`: sign the checkpoints of somebody else's log. It needs nothing of a gateway."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from gateway.adapters.witness_memory import WitnessFiles
from gateway.core.note_keys import CoSigner, NoteError, Verifier
from gateway.governance.witness import Witness

_TOO_OPEN = 0o027
"""Permissions that a key must not give: any to others, writing to its group."""

_AT_ONCE = 64
"""Requests at once; more are answered with 503."""

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.option("--key", "key_file", type=_FILE, help="The witness's key, as `key` made it.")
@click.option("--log", "vkeys", multiple=True, help="The public key of a log. Repeatable.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path),
              help="The folder in which it remembers. It must be there.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8081, show_default=True)
@click.pass_context
def witness(context: click.Context, key_file: Path | None, vkeys: tuple[str, ...],
            data: Path | None, host: str, port: int) -> None:  # fmt: skip
    """Sign the checkpoints of logs that only grow. For another host than the log's."""
    if context.invoked_subcommand is not None:
        return
    if key_file is None or data is None or not vkeys:
        raise click.UsageError("a witness needs --key, --data, and a --log for each log")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asked = Witness(_signer(key_file), map(Verifier.decoded, vkeys), WitnessFiles(data))
    except (NoteError, OSError) as error:
        raise click.ClickException(f"cannot start: {error}") from error
    if not _serve(asked, host, port):
        context.exit(1)


def _serve(asked: Witness, host: str, port: int) -> bool:
    """Serve until told to stop. False when it could not begin."""
    import uvicorn  # with Litestar it takes a while to import, which no other command needs

    from gateway.server.telling import Telling
    from gateway.server.witness import witness_app

    server = Telling(
        uvicorn.Config(
            witness_app(asked), host=host, port=port, lifespan="off", ws="none", access_log=False,
            server_header=False, proxy_headers=False, log_config=None, limit_concurrency=_AT_ONCE,
        )
    )  # fmt: skip
    server.run()
    return server.started


@witness.command()
@click.argument("name")
@click.argument("file", type=_FILE)
def key(name: str, file: Path) -> None:
    """Make the key of a witness called NAME in FILE, and print its public key."""
    try:
        made = CoSigner.generate(name)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{file} is there already; no key is replaced") from None
    except (NoteError, OSError) as error:
        raise click.ClickException(str(error)) from error
    with os.fdopen(opened, "w") as writing:
        writing.write(f"{made.encoded()}\n")
        writing.flush()
        os.fsync(writing.fileno())
    click.echo(made.verifier.encoded())


def _signer(file: Path) -> CoSigner:
    """The key in the file. Raises `NoteError`, `OSError`; neither repeats it."""
    if file.stat().st_mode & _TOO_OPEN:
        raise NoteError(f"{file} may be read by others, or written; `chmod 600` it")
    return CoSigner.decoded(file.read_text(encoding="ascii", errors="replace").strip())
