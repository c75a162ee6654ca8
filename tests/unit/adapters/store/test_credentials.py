"""Credentials of providers: encrypted at rest, bound to their name, never listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select, update

from gateway.adapters.keyring import Keyring, KeyringError
from gateway.adapters.store.credentials import LONGEST, SqlCredentials
from gateway.adapters.store.engine import open_engine
from gateway.adapters.store.migrate import migrate
from gateway.adapters.store.session import WrongKeyring, bound_keyring
from gateway.adapters.store.tables import ProviderCredential, table
from tests.databases import Database

ROW = table(ProviderCredential)
CANARY = "sk-canary-77"


def keyring(folder: Path, name: str = "keyring.json") -> Keyring:
    return Keyring.open(folder / name, None)


@pytest.fixture
def store(database: Database, tmp_path: Path) -> SqlCredentials:
    return SqlCredentials(database.url, keyring(tmp_path))


def test_what_is_stored_is_had_again_and_replaced(store: SqlCredentials) -> None:
    assert store.get("a") is None
    assert store.put("a", SecretStr("one")) is False
    assert store.put("b", SecretStr("two")) is False
    assert store.put("a", SecretStr("three")) is True
    assert [store.get(name) for name in ("a", "b")] == [SecretStr("three"), SecretStr("two")]
    first, second = store.list()
    assert (first.name, second.name) == ("a", "b")
    assert first.changed_at > first.created_at
    assert store.remove("a") is True
    assert store.remove("a") is False
    assert [state.name for state in store.list()] == ["b"]
    store.stop()


def test_it_rests_encrypted_and_shows_nowhere(store: SqlCredentials, database: Database) -> None:
    store.put("a", SecretStr(CANARY))
    engine = open_engine(database.url)
    with engine.begin() as connection:
        row = connection.execute(select(ROW)).one()
    assert CANARY.encode() not in bytes(row.wrapped)
    assert CANARY not in repr(row)
    assert CANARY not in repr((store.list(), store.get("a"), store))
    assert bound_keyring(engine) is not None  # so that the keyring is not made anew
    engine.dispose()


def test_one_cannot_pass_for_another(store: SqlCredentials, database: Database) -> None:
    store.put("a", SecretStr("one"))
    engine = open_engine(database.url)
    with engine.begin() as connection:
        connection.execute(update(ROW).values(name="b"))
    with pytest.raises(KeyringError, match="altered"):
        store.get("b")
    with engine.begin() as connection:
        connection.execute(update(ROW).values(name="a", org_id="other"))
    assert store.get("a") is None
    engine.dispose()


def test_it_is_read_under_its_own_keyring_alone(
    store: SqlCredentials, database: Database, tmp_path: Path
) -> None:
    store.put("a", SecretStr("one"))
    other = SqlCredentials(database.url, keyring(tmp_path, "other.json"))
    with pytest.raises(KeyringError):
        other.get("a")
    with pytest.raises(WrongKeyring):
        other.put("a", SecretStr("two"))
    assert store.get("a") == SecretStr("one")


def test_organisations_do_not_see_each_other(database: Database, tmp_path: Path) -> None:
    one = SqlCredentials(database.url, keyring(tmp_path), org="one")
    two = SqlCredentials(database.url, keyring(tmp_path), org="two")
    one.put("a", SecretStr("x"))
    assert (two.get("a"), list(two.list()), two.remove("a")) == (None, [], False)
    two.put("a", SecretStr("y"))
    assert (one.get("a"), two.get("a")) == (SecretStr("x"), SecretStr("y"))


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a" * 101, "ä", "a\n"])
def test_a_name_is_plain(store: SqlCredentials, name: str) -> None:
    with pytest.raises(ValueError, match="a name is"):
        store.put(name, SecretStr("x"))


@pytest.mark.parametrize("secret", ["", " x", "x\n", "a\nb", "x" * (LONGEST + 1)])
def test_a_credential_is_one_line(store: SqlCredentials, secret: str) -> None:
    with pytest.raises(ValueError, match="a credential is") as wrong:
        store.put("a", SecretStr(secret))
    assert not secret.strip() or secret not in str(wrong.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=200))
def test_any_credential_comes_back_as_it_was(tmp_path: Path, secret: str) -> None:
    url = f"sqlite:///{tmp_path / 'credentials.db'}"
    migrate(url)
    store = SqlCredentials(url, keyring(tmp_path))
    store.put("a", SecretStr(secret))
    assert store.get("a") == SecretStr(secret)
    store.stop()
