"""The key of bundles: made once, its owner's alone, and what others can check with it."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from gateway.adapters.bundle_key import BundleKey, BundleKeyError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "deep" / "policy-bundle.key"
    BundleKey.open(path)
    return path


def test_it_is_made_once_for_its_owner_alone(made: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o600
    before = made.read_bytes()
    assert BundleKey.open(made).public_pem == BundleKey.open(made).public_pem
    assert made.read_bytes() == before
    assert [path.name for path in made.parent.iterdir()] == [made.name]


def test_of_several_that_start_at_once_one_makes_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        keys = pool.map(BundleKey.open, [tmp_path / "k"] * 3)
    assert len({key.public_pem for key in keys}) == 1


def test_what_it_signs_is_a_token_that_its_public_key_verifies(made: Path) -> None:
    key = BundleKey.open(made)
    payload = json.dumps({"files": ["é"]}).encode()
    token = key.sign(payload)
    public = RSAKey.import_key(key.public_pem)
    checked = jws.deserialize_compact(token, public, algorithms=["RS256"])
    assert checked.payload == payload
    assert checked.protected == {"alg": "RS256", "kid": "govgate", "typ": "JWT"}
    assert key.sign(payload) == token
    other = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    with pytest.raises(JoseError):
        jws.deserialize_compact(other, public, algorithms=["RS256"])


def test_the_public_key_holds_no_secret(made: Path) -> None:
    assert BundleKey.open(made).public_pem.startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o666])
def test_a_key_that_others_may_use_is_refused(made: Path, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "k"
    path.write_bytes(made.read_bytes())
    path.chmod(mode)
    with pytest.raises(BundleKeyError, match="chmod 600"):
        BundleKey.open(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff", b"-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BundleKeyError, match="not a private key"):
        BundleKey.open(path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.touch(0o600)
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(BundleKeyError, match="not an RSA key"):
        BundleKey.open(path)


def test_a_place_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleKeyError, match="cannot be read"):
        BundleKey.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BundleKeyError, match="cannot be read"):
        BundleKey.open(tmp_path / "file" / "k")
    assert os.listdir(tmp_path) == ["file"]
