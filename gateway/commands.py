"""What every command needs: the settings, and how to say that it cannot do its work."""

from __future__ import annotations

import getpass
import os
import re
import sys
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from gateway.adapters.bundle_key import BundleKeyError
from gateway.adapters.keyring import KeyringError
from gateway.adapters.packs import PackError
from gateway.adapters.routing.routes import RoutesError
from gateway.adapters.store.engine import UnsafeDatabase
from gateway.adapters.store.log import RolledBack
from gateway.adapters.store.log_files import LogKeyError
from gateway.core.principal import Principal
from gateway.settings import Settings, load

_WRONG = (
    ValueError,
    BundleKeyError,
    KeyringError,
    LogKeyError,
    RolledBack,
    UnsafeDatabase,
    SQLAlchemyError,
    PermissionError,
    FileExistsError,
    NotADirectoryError,
)
"""What is the operator's to put right; packs and routes raise a `ValueError` of their own."""
_LINE = "\n"
_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


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


def settings() -> Settings:
    """The settings of the environment, or an end with their errors in plain words."""
    try:
        known = load()
    except ValidationError as error:
        for problem in error.errors():
            place = "__".join(str(part) for part in problem["loc"]).upper()
            said = problem["msg"].removeprefix("Value error, ")
            click.echo(f"GOVGATE_{place}: {said}" if place else said, err=True)
        sys.exit(1)
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    try:
        make_url(known.database_url)
    except (ArgumentError, ValueError):  # what they say may hold some of the password
        click.echo(
            "GOVGATE_DATABASE__URL is no URL of a database: sqlite:///FILE, or "
            "postgresql+psycopg://USER:PASSWORD@HOST/NAME",
            err=True,
        )
        sys.exit(1)
    return known


def operator(name: str | None, org: str = "default") -> Principal:
    """Whoever is at the command line: as `name`, or as this system knows them."""
    return Principal(org, "operators", "cli", f"cli:{name or getpass.getuser()}")


def time_option(
    context: click.Context, option: click.Parameter, value: str | None
) -> datetime | None:
    """A time with its zone, UTC where it has none; or how long ago, such as 24h."""
    if value is None:
        return None
    if ago := _AGO.fullmatch(value):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter("give a time such as 2026-11-22T10:00, or 24h, 7d") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
