"""Vault's transit engine: what is asked, and what is said when it says no."""

from __future__ import annotations

import base64
import os
import traceback
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.adapters.providers.wire import AiohttpTransport
from gateway.adapters.seals import Asking, TransitKey, VaultSeal
from gateway.core.seals import SealError
from tests.houses import free_port
from tests.sealing import TOKEN, Transit


def seal_of(
    transit: Transit, key: str = "govgate", token: str = TOKEN, namespace: str | None = None
) -> VaultSeal:
    place = TransitKey.parsed(transit.place(key))
    return VaultSeal(place, SecretStr(token), namespace, Asking(partial(AiohttpTransport)))


def refused(seal: VaultSeal, sealed: str = "vault:v1:AAAA") -> str:
    """What is said of a key that does not open; the token and the plaintext are not in it."""
    with pytest.raises(SealError) as failed:
        seal.unseal(sealed, "krg_1")
    told = "".join(traceback.format_exception(failed.value))
    assert TOKEN not in told
    assert seal.name in str(failed.value)
    return str(failed.value)


def test_the_request_is_as_the_api_says(transit: Transit) -> None:
    transit.namespace = "team/a"
    seal, secret = seal_of(transit, namespace="team/a"), os.urandom(32)
    sealed = seal.seal(secret, "krg_1")
    assert sealed.startswith("vault:v1:")
    assert seal.unseal(sealed, "krg_1") == secret
    bound = base64.b64encode(b"krg_1").decode()
    encrypt, decrypt = transit.asked
    assert encrypt.path == "/v1/team/transit/encrypt/govgate"
    assert encrypt.members == {
        "plaintext": base64.b64encode(secret).decode(),
        "associated_data": bound,
    }
    assert decrypt.path == "/v1/team/transit/decrypt/govgate"
    assert decrypt.members == {"ciphertext": sealed, "associated_data": bound}
    for asked in (encrypt, decrypt):
        assert asked.headers["x-vault-token"] == TOKEN
        assert asked.headers["x-vault-namespace"] == "team/a"
        assert asked.headers["x-vault-request"] == "true"
        assert asked.headers["content-type"] == "application/json"


def test_what_was_sealed_before_the_key_was_rotated_opens(transit: Transit) -> None:
    seal = seal_of(transit)
    before = seal.seal(b"k" * 32, "krg_1")
    transit.rotate()
    assert seal.seal(b"k" * 32, "krg_1").startswith("vault:v2:")
    assert seal.unseal(before, "krg_1") == b"k" * 32


def test_another_key_does_not_open_it(transit: Transit) -> None:
    sealed = seal_of(transit).seal(b"k" * 32, "krg_1")
    assert "is it the key that sealed" in refused(seal_of(transit, "other"), sealed)
    assert "is it the key that sealed" in refused(seal_of(transit, "unknown"), sealed)


def test_another_token_is_refused(transit: Transit) -> None:
    assert "refuses the token" in refused(seal_of(transit, token="hvs.another"))


def test_another_namespace_is_refused(transit: Transit) -> None:
    assert "no such path" in refused(seal_of(transit, namespace="nobody"))


def test_a_sealed_vault_is_refused(transit: Transit) -> None:
    transit.sealed = True
    assert "unseal it" in refused(seal_of(transit))


def test_a_standby_that_sends_elsewhere_gets_no_second_request(transit: Transit) -> None:
    transit.answers.append((307, {"location": f"{transit.url}/v1/elsewhere"}, b""))
    assert "name the active node" in refused(seal_of(transit))
    assert len(transit.asked) == 1


def test_an_error_of_its_own_is_told_by_its_status(transit: Transit) -> None:
    said = f'{{"errors": ["{TOKEN}"]}}'.encode()
    transit.answers.append((500, {}, said))
    assert "answers 500" in refused(seal_of(transit))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"data": null}', b'{"data": {"plaintext": 1, "ciphertext": 1}}',
             b'{"data": {"plaintext": "not base64!", "ciphertext": "not sealed"}}'],
)  # fmt: skip
def test_an_answer_without_what_was_asked_is_refused(transit: Transit, body: bytes) -> None:
    transit.answers += [(200, {}, body)] * 2
    seal = seal_of(transit)
    assert "without a plaintext" in refused(seal)
    with pytest.raises(SealError, match="without a ciphertext"):
        seal.seal(b"k" * 32, "krg_1")


def test_one_that_is_away_is_refused() -> None:
    place = TransitKey.parsed(f"http://127.0.0.1:{free_port()}/transit/k")
    seal = VaultSeal(place, SecretStr(TOKEN), None, Asking(partial(AiohttpTransport)))
    assert "cannot be reached" in refused(seal)


@pytest.mark.parametrize(
    ("text", "mount", "name"),
    [("https://v.example/transit/govgate", "transit", "govgate"),
     ("https://v.example:8200/a/b-c/t_1/k.2/", "a/b-c/t_1", "k.2")],
)  # fmt: skip
def test_a_key_has_a_place(text: str, mount: str, name: str) -> None:
    key = TransitKey.parsed(text)
    assert (key.mount, key.name) == (mount, name)
    assert str(key) == f"vault:{text.rstrip('/')}"
    assert str(key.url("encrypt")) == f"{key.address}v1/{mount}/encrypt/{name}"


@pytest.mark.parametrize(
    "text",
    ["https://v.example", "https://v.example/transit", "https://v.example/transit/a%2fb",
     "https://v.example//k", "https://v.example/transit/../k", "https://v.example/t/..",
     "https://v.example/t/k?x=1", "http://v.example/t/k", ""],
)  # fmt: skip
def test_what_is_no_place_of_a_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        TransitKey.parsed(text)


def test_it_never_shows_its_token(transit: Transit) -> None:
    seal: Any = seal_of(transit)
    assert TOKEN not in repr(seal) + repr(vars(seal))
