"""AWS KMS: what is asked and how it is signed, and what is said when it says no."""

from __future__ import annotations

import base64
import json
import os
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import httpx
import pytest
from pydantic import SecretStr

from gateway.adapters.providers.sigv4 import Signer
from gateway.adapters.providers.wire import AiohttpTransport
from gateway.adapters.seals import Asking, KmsSeal, region_of
from gateway.core.seals import SealError
from tests.sealing import Asked, Kms, Service

KEY, SECRET, SESSION = "AKIDEXAMPLE", "canary-secret", "canary-session"
REGION = "eu-central-1"


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.stop()


def seal_at(endpoint: str, key: str = "alias/govgate", session: str | None = None) -> KmsSeal:
    token = None if session is None else SecretStr(session)
    sign = Signer(SecretStr(KEY), SecretStr(SECRET), token, REGION, "kms").signed
    return KmsSeal(key, REGION, sign, Asking(partial(AiohttpTransport)), httpx.URL(endpoint))


def said(**members: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(members).encode()


def failed(kind: str, status: int = 400) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps({"__type": kind, "message": f"no {SECRET}"}).encode()


def refused(seal: KmsSeal) -> str:
    with pytest.raises(SealError) as error:
        seal.unseal("AAAA", "krg_1")
    assert SECRET not in "".join(traceback.format_exception(error.value))
    assert seal.name in str(error.value)
    return str(error.value)


def botocores(asked: Asked, url: str, session: str | None) -> str:
    """The authorization that botocore would have sent with this request."""
    names = ("content-type", "x-amz-target")
    headers = {name: asked.headers[name] for name in names}
    moment = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    request = botocore.awsrequest.AWSRequest("POST", url, headers=headers, data=asked.body)
    credentials = botocore.credentials.Credentials(KEY, SECRET, session)
    signer = botocore.auth.SigV4Auth(credentials, "kms", REGION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
        signer.add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize("session", [None, SESSION])
def test_the_request_is_as_the_api_says_and_signed(service: Service, session: str | None) -> None:
    secret = os.urandom(32)
    text = base64.b64encode(secret).decode()
    service.answers += [said(CiphertextBlob="c2VhbGVk", KeyId="k"), said(Plaintext=text)]
    seal = seal_at(f"{service.url}/", session=session)
    assert seal.unseal(seal.seal(secret, "krg_1"), "krg_1") == secret
    encrypt, decrypt = service.asked
    told = {"KeyId": "alias/govgate", "EncryptionContext": {"govgate:keyring": "krg_1"}}
    assert encrypt.members == {"Plaintext": text, **told}
    assert decrypt.members == {"CiphertextBlob": "c2VhbGVk", **told}
    for asked, operation in ((encrypt, "Encrypt"), (decrypt, "Decrypt")):
        assert asked.path == "/"
        assert asked.headers["x-amz-target"] == f"TrentService.{operation}"
        assert asked.headers["content-type"] == "application/x-amz-json-1.1"
        assert asked.headers.get("x-amz-security-token") == session
        assert asked.headers["authorization"] == botocores(asked, f"{service.url}/", session)


def test_a_real_kms_opens_it_with_its_key_alone(kms: Kms) -> None:
    sealed = seal_at(kms.endpoint, kms.key).seal(b"k" * 32, "krg_1")
    assert seal_at(kms.endpoint, kms.key).unseal(sealed, "krg_1") == b"k" * 32
    with pytest.raises(SealError, match="KMS answers 400"):
        seal_at(kms.endpoint, kms.key).unseal(sealed, "krg_2")
    with pytest.raises(SealError, match="KMS answers 4"):
        seal_at(kms.endpoint, "alias/nobody").seal(b"k" * 32, "krg_1")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("AccessDeniedException", "kms:Encrypt and kms:Decrypt"),
        ("IncorrectKeyException", "another key"),
        ("InvalidCiphertextException", "altered"),
        ("com.amazonaws.kms#NotFoundException", "no such key"),
        ("DisabledException", "disabled"),
        ("ExpiredTokenException", "expired"),
        ("canary-secret", "check the service"),
    ],
)
def test_a_refusal_says_what_to_check(service: Service, kind: str, told: str) -> None:
    service.answers.append(failed(kind))
    assert told in refused(seal_at(service.url))


def test_no_redirect_is_followed(service: Service) -> None:
    service.answers.append((302, {"location": f"{service.url}/elsewhere"}, b""))
    assert "answers 302" in refused(seal_at(service.url))
    assert len(service.asked) == 1


@pytest.mark.parametrize("members", [{}, {"Plaintext": 1}, {"Plaintext": "not base64!"}])
def test_an_answer_without_what_was_asked_is_refused(service: Service, members: Any) -> None:
    service.answers += [said(**members)] * 2
    seal = seal_at(service.url)
    assert "without a plaintext" in refused(seal)
    with pytest.raises(SealError, match="without a ciphertext"):
        seal.seal(b"k" * 32, "krg_1")


@pytest.mark.parametrize("key", ["", "a b", "key\nx", "ä"])
def test_what_names_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="awskms:KEY"):
        seal_at("http://localhost", key)


@pytest.mark.parametrize(
    ("key", "region"),
    [("arn:aws:kms:eu-west-3:1:key/a", "eu-west-3"),
     ("arn:aws:kms:us-east-1:1:alias/a", "us-east-1"),
     ("alias/a", None), ("arn:aws:s3:::b", None), ("1234", None)],
)  # fmt: skip
def test_an_arn_names_its_region(key: str, region: str | None) -> None:
    assert region_of(key) == region


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-west-3", "kms.eu-west-3.amazonaws.com"),
     ("cn-north-1", "kms.cn-north-1.amazonaws.com.cn")],
)  # fmt: skip
def test_without_an_endpoint_it_is_the_regions_own(region: str, host: str) -> None:
    urls: list[httpx.URL] = []

    def sign(method: str, url: httpx.URL, *rest: Any) -> dict[str, str]:
        urls.append(url)
        raise SealError("enough")

    seal = KmsSeal("alias/a", region, sign, Asking(partial(AiohttpTransport)))
    with pytest.raises(SealError):
        seal.seal(b"k", "krg_1")
    assert urls[0].host == host
    assert urls[0].scheme == "https"
