"""What every seal of a keyring does: the fake, Vault's transit engine and AWS KMS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.core.seals import KeyringSeal, SealError
from gateway.sealing import build_seal
from gateway.settings import Settings
from tests.fakes.seal import FakeSeal
from tests.sealing import KMS_ACCESS, TOKEN, Kms, Transit


@pytest.fixture(params=["fake", "vault", "awskms"])
def seal(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KeyringSeal:
    if request.param == "fake":
        return FakeSeal()
    if request.param == "vault":
        transit: Transit = request.getfixturevalue("transit")
        return built({"seal": transit.seal(), "vault_token": TOKEN})
    for name, value in KMS_ACCESS.items():
        monkeypatch.setenv(name, value)
    kms: Kms = request.getfixturevalue("kms")
    return built({"seal": f"awskms:{kms.key}", "kms_endpoint": kms.endpoint})


def built(told: Mapping[str, str]) -> KeyringSeal:
    found = build_seal(Settings.model_validate({"keyring": told}))
    assert found is not None
    return found


def test_what_is_sealed_opens_again(seal: KeyringSeal) -> None:
    secret = os.urandom(32)
    sealed = seal.seal(secret, "krg_1")
    assert seal.unseal(sealed, "krg_1") == secret
    assert secret.hex() not in sealed.encode().hex()


def test_what_is_sealed_twice_differs(seal: KeyringSeal) -> None:
    assert seal.seal(b"k" * 32, "krg_1") != seal.seal(b"k" * 32, "krg_1")


def test_it_opens_for_its_context_alone(seal: KeyringSeal) -> None:
    sealed = seal.seal(b"k" * 32, "krg_1")
    with pytest.raises(SealError) as refused:
        seal.unseal(sealed, "krg_2")
    assert seal.name in str(refused.value)


@pytest.mark.parametrize("part", [0.5, 0.8])
def test_what_was_altered_does_not_open(seal: KeyringSeal, part: float) -> None:
    sealed = seal.seal(b"k" * 32, "krg_1")
    place = int(len(sealed) * part)
    other = "A" if sealed[place] != "A" else "B"
    with pytest.raises(SealError):
        seal.unseal(sealed[:place] + other + sealed[place + 1 :], "krg_1")


@pytest.mark.parametrize("nonsense", ["", "vault:v1:", "AAAA", "not base64 at all", "ä"])
def test_what_it_did_not_seal_does_not_open(seal: KeyringSeal, nonsense: str) -> None:
    with pytest.raises(SealError):
        seal.unseal(nonsense, "krg_1")


async def test_it_may_be_asked_where_a_loop_runs(seal: KeyringSeal) -> None:
    assert seal.unseal(seal.seal(b"k" * 32, "krg_1"), "krg_1") == b"k" * 32
