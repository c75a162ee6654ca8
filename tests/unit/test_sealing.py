"""Settings become a seal, or an error that names the setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.seals import KeyringSeal, SealError
from gateway.sealing import Former, build_seal
from gateway.settings import Settings
from tests.clients.tls import Authority
from tests.sealing import KMS_ACCESS, TOKEN, Kms, Transit


@pytest.fixture(autouse=True)
def nothing_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
                 "AWS_DEFAULT_REGION"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure(authority: Authority) -> Iterator[Transit]:
    """A transit engine behind TLS, whose authority nobody knows."""
    service = Transit(context=authority.server())
    yield service
    service.stop()


def built(former: Former | None = None, **told: Any) -> KeyringSeal:
    seal = build_seal(Settings.model_validate({"keyring": told}), former)
    assert seal is not None
    return seal


def test_without_the_setting_there_is_no_seal() -> None:
    assert build_seal(Settings()) is None


def test_vaults_certificate_is_checked(secure: Transit, authority: Authority) -> None:
    told = {"seal": secure.seal(), "vault_token": TOKEN}
    with pytest.raises(SealError, match="cannot be reached"):
        built(**told).seal(b"k", "krg_1")
    assert not secure.asked
    seal = built(**told, vault_ca=authority.certificate)
    assert seal.unseal(seal.seal(b"k", "krg_1"), "krg_1") == b"k"
    assert seal.name == secure.seal()


def test_the_namespace_is_told(transit: Transit) -> None:
    transit.namespace = "team/a"
    seal = built(seal=transit.seal(), vault_token=TOKEN, vault_namespace="team/a")
    assert seal.seal(b"k", "krg_1")


def test_a_former_seal_has_a_token_of_its_own(transit: Transit) -> None:
    told: dict[str, Any] = {"seal": "awskms:alias/new", "vault_token": "hvs.new"}
    old = Former(transit.seal(), Settings.model_validate(
        {"keyring": {"vault_token": TOKEN}}).keyring.vault_token)  # fmt: skip
    assert built(old, **told).seal(b"k", "krg_1")
    with pytest.raises(SealError, match="refuses the token"):
        built(Former(transit.seal()), **told).seal(b"k", "krg_1")


def test_kms_takes_its_own_settings_before_awss(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"seal": f"awskms:{kms.key}", "kms_endpoint": kms.endpoint}
    with pytest.raises(ValueError, match="KMS_ACCESS_KEY_ID"):
        built(**told)
    assert built(**told, kms_access_key_id="a", kms_secret_access_key="s").seal(b"k", "krg_1")
    for name, value in KMS_ACCESS.items():
        monkeypatch.setenv(name, value)
    assert built(**told).seal(b"k", "krg_1")
    with pytest.raises(ValueError, match="KMS_ACCESS_KEY_ID"):
        built(**told, kms_access_key_id="a")  # never one half of each


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_key_without_an_arn_wants_a_region(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in KMS_ACCESS.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match="KMS_REGION"):
        built(seal="awskms:alias/a")
    monkeypatch.setenv(name, "eu-west-3")
    assert built(seal="awskms:alias/a").name == "awskms:alias/a"


WRONG: dict[str, dict[str, str]] = {
    "vault:https://HOST": {"seal": "hsm:1"},
    "VAULT_TOKEN is missing": {"seal": "vault:https://v.example/transit/k"},
    "VAULT_TOKEN is no token": {"seal": "vault:https://v.example/transit/k", "vault_token": "a\nb"},
    "over https": {"seal": "vault:http://v.example/transit/k", "vault_token": TOKEN},
    "MOUNT/KEY": {"seal": "vault:https://v.example/k", "vault_token": TOKEN},
    "metadata service": {"seal": "vault:https://169.254.169.254/transit/k", "vault_token": TOKEN},
    "link-local": {"seal": "vault:https://169.254.1.1/transit/k", "vault_token": TOKEN},
    "No such file": {
        "seal": "vault:https://v.example/transit/k", "vault_token": TOKEN, "vault_ca": "/nowhere",
    },
    "over http only on this machine": {
        "seal": "awskms:k", "kms_region": "eu-west-3", "kms_access_key_id": "a",
        "kms_secret_access_key": TOKEN, "kms_endpoint": "http://kms.example",
    },
    "not a region": {
        "seal": "awskms:k", "kms_region": "eu/west", "kms_access_key_id": "a",
        "kms_secret_access_key": TOKEN,
    },
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG)
def test_what_is_no_seal_is_refused(why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        built(**WRONG[why])
    assert str(refused.value).startswith("GOVGATE_KEYRING__SEAL: ")
    assert TOKEN not in str(refused.value)


def test_a_name_that_leads_astray_is_found_when_it_is_asked() -> None:
    seal = built(seal="vault:https://169-254-1-1.invalid/transit/k", vault_token=TOKEN)
    with pytest.raises(SealError, match="cannot be reached"):
        seal.seal(b"k", "krg_1")
