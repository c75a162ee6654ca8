"""Keys of providers over SQL, encrypted at rest: AES-256-GCM under the keyring.

Each is bound to its organisation and name, so that one row cannot pass for another. What is
stored is read when a gateway starts, and is never shown again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.store.engine import for_writing, open_engine, unavailable
from gateway.adapters.store.sealing import Vault
from gateway.adapters.store.session import bind_keyring
from gateway.adapters.store.tables import ProviderCredential, table

_CREDENTIAL = table(ProviderCredential)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
LONGEST = 16_384
"""Characters of a credential; some are whole JSON documents."""


@dataclass(frozen=True, slots=True)
class CredentialState:
    """A credential as it may be listed: everything but itself."""

    name: str
    created_at: datetime
    changed_at: datetime


class SqlCredentials:
    """The credentials of one organisation, in the migrated database at `url`.

    For one command or the start of a gateway: it works at once, and blocks.
    """

    def __init__(
        self, url: str, vault: Vault, *, org: str = "default", patience: float = 2.0
    ) -> None:
        self._engine = open_engine(url, patience)
        self._vault = vault
        self._org = org

    def put(self, name: str, secret: SecretStr) -> bool:
        """Store a credential, in place of the former one; True when there was.

        Binds the database to the keyring, which must not be lost from then on. Raises
        `ValueError` for a name or a secret that cannot be, `WrongKeyring`, `Unavailable`.
        """
        if not _NAME.fullmatch(name):
            raise ValueError("a name is letters and digits, and ._:/- after the first")
        text = secret.get_secret_value()
        if not text or len(text) > LONGEST or text != text.strip() or not text.isprintable():
            raise ValueError(f"a credential is one line of 1 to {LONGEST} printable characters")
        kek_id, wrapped = self._vault.wrap(text.encode(), self._context(name))
        now = datetime.now(UTC)
        with self._transaction(writes=True) as connection:
            bind_keyring(connection, self._vault.id)
            fresh = {"kek_id": kek_id, "wrapped": wrapped, "changed_at": now}
            held = connection.execute(update(_CREDENTIAL).where(self._is(name)).values(fresh))
            if held.rowcount:
                return True
            row = {"org_id": self._org, "name": name, "created_at": now, **fresh}
            connection.execute(insert(_CREDENTIAL).values(row))
            return False

    def get(self, name: str) -> SecretStr | None:
        """A credential; None when there is none of that name.

        Raises `KeyringError` when it was altered or encrypted under another keyring,
        `Unavailable`.
        """
        with self._transaction() as connection:
            row = connection.execute(select(_CREDENTIAL).where(self._is(name))).one_or_none()
        if row is None:
            return None
        secret = self._vault.unwrap(row.kek_id, row.wrapped, self._context(name))
        return SecretStr(secret.decode())

    def list(self) -> Sequence[CredentialState]:
        """Every credential, by name. Raises `Unavailable`."""
        mine = select(_CREDENTIAL).where(_CREDENTIAL.c.org_id == self._org)
        with self._transaction() as connection:
            rows = connection.execute(mine.order_by(_CREDENTIAL.c.name)).all()
        return [CredentialState(row.name, row.created_at, row.changed_at) for row in rows]

    def remove(self, name: str) -> bool:
        """Forget a credential; False when there is none of that name. Raises `Unavailable`."""
        with self._transaction(writes=True) as connection:
            return connection.execute(delete(_CREDENTIAL).where(self._is(name))).rowcount == 1

    def stop(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _is(self, name: str) -> ColumnElement[bool]:
        return (_CREDENTIAL.c.org_id == self._org) & (_CREDENTIAL.c.name == name)

    def _context(self, name: str) -> str:
        return f"provider_credential|{self._org}|{name}"

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        engine = for_writing(self._engine) if writes else self._engine
        try:
            with engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise unavailable(error) from error
