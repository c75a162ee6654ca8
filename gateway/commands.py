"""How a command says that it cannot do its work: in a line that names the setting."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.keyring import KeyringError
from gateway.adapters.packs.documents import PackError
from gateway.adapters.routing.routes import RoutesError
from gateway.adapters.store.engine import UnsafeDatabase

_WRONG = (
    ValueError,
    KeyringError,
    UnsafeDatabase,
    SQLAlchemyError,
    PermissionError,
    FileExistsError,
    NotADirectoryError,
)
"""What is the operator's to put right; packs and routes raise a `ValueError` of their own."""
_LINE = "\n"


class Commands(click.Group):
    """Commands that say in words, on standard error, why they cannot do their work.

    Where in the program it was is told only under `LOG_LEVEL=DEBUG`, without any values.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except _WRONG as error:
            if os.environ.get("LOG_LEVEL", "").upper() == "DEBUG":
                click.echo("".join(traceback.format_tb(error.__traceback__)), err=True)
            click.echo(f"cannot start: {_in_words(error)}", err=True)
            sys.exit(1)


def _in_words(error: BaseException) -> str:
    """What is wrong, after the setting that it comes from where one is known."""
    said = str(error) or type(error).__name__
    match error:
        case PackError():
            return f"GOVGATE_POLICY__PACK: {said}"
        case RoutesError():
            return f"GOVGATE_ROUTES: {said}"
        case SQLAlchemyError() | UnsafeDatabase():
            return f"GOVGATE_DATABASE__URL: {said.partition(_LINE)[0]}"
        case _:
            return said.partition(_LINE)[0]
