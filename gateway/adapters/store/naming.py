"""The names that people know, as the index holds them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from gateway.adapters.store.erasure_tables import SubjectKey
from gateway.adapters.store.indexing import Marks
from gateway.adapters.store.person_keys import PersonKey, subject_mac, value_mac
from gateway.adapters.store.sealing import Vault
from gateway.adapters.store.tables import table
from gateway.core.values import forms

_SUBJECT = table(SubjectKey)


class Names:
    """Turns names into what is stored for them, by the keys that `vault` wrapped."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.marks = Marks(vault.index_key)

    def subject(self, connection: Connection, org: str, name: str) -> str | None:
        """What headers call a subject, such as `user:ann`; None for one who was never here, or
        whose key is destroyed. Raises what the vault raises."""
        mac = subject_mac(self._vault.index_key, org, name)
        row = connection.execute(
            select(_SUBJECT).where(
                _SUBJECT.c.org_id == org,
                _SUBJECT.c.subject_mac == mac,
                _SUBJECT.c.destroyed_at.is_(None),
            )
        ).one_or_none()
        if row is None or row.wrapped is None:
            return None
        secret = self._vault.unwrap(row.kek_id, bytes(row.wrapped), row.key_id)
        return PersonKey(row.key_id, secret).pseudonym

    def values(self, org: str, value: str) -> Sequence[bytes]:
        """The keyed hashes that a value may stand under in the index of values."""
        return [value_mac(self._vault.index_key, org, form) for form in forms(value)]
