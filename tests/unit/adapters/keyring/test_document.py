"""What a keyring's file says, and that nothing of a sealed one can be exchanged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.keyring.document import (
    KeyringError,
    Secrets,
    decoded,
    encoded,
    header_of,
)
from tests.fakes.seal import FakeSeal

KEYS = st.binary(min_size=32, max_size=32)
SECRETS = st.builds(
    Secrets,
    st.from_regex(r"krg_[a-z0-9]{1,8}", fullmatch=True),
    st.dictionaries(st.text(min_size=1, max_size=8), KEYS, min_size=1, max_size=4),
    KEYS,
    KEYS,
)
ONE = Secrets("krg_1", {"kek_1": b"a" * 32, "kek_2": b"b" * 32}, b"p" * 32, b"i" * 32)


@given(SECRETS, st.booleans())
def test_a_file_holds_what_was_put_in_it(secrets: Secrets, sealed: bool) -> None:
    seal = FakeSeal() if sealed else None
    content = encoded(secrets, seal)
    found = decoded(content, seal)
    assert found == secrets
    assert list(found.keks) == list(secrets.keks)  # the newest stays the last
    header = header_of(content)
    assert header == (secrets.id, tuple(secrets.keks), "fake:seal" if sealed else None)


def test_a_sealed_file_tells_ids_alone() -> None:
    file = json.loads(encoded(ONE, FakeSeal()))
    assert file.keys() == {"version", "id", "keks", "seal", "key", "nonce", "secrets"}
    assert file["keks"] == [{"id": "kek_1"}, {"id": "kek_2"}]


def changed(content: bytes, change: Mapping[str, Any]) -> bytes:
    return json.dumps(json.loads(content) | dict(change)).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"keks": [{"id": "kek_1"}]},
        {"keks": [{"id": "kek_2"}, {"id": "kek_1"}]},
        {"seal": "fake:other"},
        {"secrets": "AAAA" * 40},
        {"secrets": ""},
        {"nonce": "AAAAAAAAAAAAAAAA"},
        {"nonce": ""},
    ],
)
def test_no_member_can_be_exchanged(change: dict[str, Any]) -> None:
    seal = FakeSeal()
    content = encoded(ONE, seal)
    with pytest.raises(KeyringError, match="altered"):
        decoded(changed(content, change), seal)


def test_the_id_is_what_it_was_sealed_for() -> None:
    seal = FakeSeal()
    content = encoded(ONE, seal)
    with pytest.raises(KeyringError, match="did not seal this"):
        decoded(changed(content, {"id": "krg_2"}), seal)


def test_the_secrets_of_another_file_do_not_open() -> None:
    seal = FakeSeal()
    one, other = (json.loads(encoded(ONE, seal)) for _ in range(2))
    for member in ("key", "nonce", "secrets"):
        with pytest.raises(KeyringError, match="altered"):
            decoded(json.dumps(one | {member: other[member]}).encode(), seal)


def test_a_sealed_file_does_not_pass_as_one_in_the_clear() -> None:
    seal = FakeSeal()
    content = changed(encoded(ONE, seal), {"version": 1})
    with pytest.raises(KeyringError, match="not a keyring"):
        decoded(content, seal)


@pytest.mark.parametrize(
    "change",
    [{"version": 3}, {"version": None}, {"keks": []}, {"keks": [{}]}, {"key": None},
     {"nonce": 1}, {"secrets": "not base64!"}],
)  # fmt: skip
def test_what_is_no_keyring_is_refused(change: dict[str, Any]) -> None:
    seal = FakeSeal()
    with pytest.raises(KeyringError):
        decoded(changed(encoded(ONE, seal), change), seal)


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_nonsense_is_refused(content: bytes) -> None:
    for read in (header_of, lambda found: decoded(found, FakeSeal())):
        with pytest.raises(KeyringError, match="not a keyring"):
            read(content)


def test_what_fails_shows_no_secret() -> None:
    seal = FakeSeal()
    content = encoded(ONE, seal)
    seal.down = True
    with pytest.raises(KeyringError) as failed:
        decoded(content, seal)
    assert "aaaa" not in repr(failed.value) + repr(ONE)
