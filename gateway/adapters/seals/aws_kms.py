"""A symmetric key of AWS KMS.

Source: the AWS KMS API reference, "Encrypt", "Decrypt" and "Common errors": JSON 1.1, the
operation in `x-amz-target`. The context goes as the encryption context, which KMS authenticates
and CloudTrail shows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import httpx
import orjson

from gateway.adapters.seals.asking import Asking
from gateway.core.seals import SealError

CONTEXT = "govgate:keyring"
"""The member of the encryption context that holds the keyring's id."""

Sign: TypeAlias = Callable[[str, httpx.URL, Mapping[str, str], bytes, datetime], dict[str, str]]
"""The headers of a request (method, URL, headers, body, now) with its signature."""

_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_CHECK = {
    "AccessDeniedException": "may these credentials use the key with kms:Encrypt and kms:Decrypt?",
    "DisabledException": "the key is disabled",
    "ExpiredTokenException": "the credentials have expired",
    "IncompleteSignature": "check the credentials",
    "IncorrectKeyException": "another key sealed the keyring",
    "InvalidCiphertextException": "the keyring's file was altered, or is of another keyring",
    "InvalidKeyUsageException": "a symmetric key for encryption is wanted",
    "InvalidSignatureException": "check the secret key, and this machine's clock",
    "KMSInvalidStateException": "the key is not enabled: is it pending deletion?",
    "MissingAuthenticationTokenException": "check the credentials",
    "NotFoundException": "there is no such key in this region and account",
    "ThrottlingException": "it asks to come back later",
    "UnrecognizedClientException": "check the credentials",
}


class KmsSeal:
    """Implements `KeyringSeal`. The key is named by id, ARN or `alias/…`.

    `endpoint` is another one than the region's own, such as one in a VPC.
    """

    def __init__(
        self, key: str, region: str, sign: Sign, asking: Asking, endpoint: httpx.URL | None = None
    ) -> None:
        """Raises `ValueError` for what names no key, or no region."""
        if not _KEY.fullmatch(key):
            raise ValueError("awskms:KEY is wanted: a key's id or ARN, or alias/NAME")
        if not _REGION.fullmatch(region):
            raise ValueError("not a region of AWS")
        self._key = key
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._url = endpoint or httpx.URL(f"https://kms.{region}.{domain}/")
        self._sign = sign
        self._asking = asking

    @property
    def name(self) -> str:
        return f"awskms:{self._key}"

    def seal(self, secret: bytes, context: str) -> str:
        said = self._ask("Encrypt", context, Plaintext=_text(secret))
        sealed = said.get("CiphertextBlob")
        if not isinstance(sealed, str) or not sealed:
            raise SealError(f"{self.name}: KMS answered without a ciphertext")
        return sealed

    def unseal(self, sealed: str, context: str) -> bytes:
        said = self._ask("Decrypt", context, CiphertextBlob=sealed)
        try:
            return base64.b64decode(said["Plaintext"], validate=True)
        except (KeyError, TypeError, ValueError):
            # without the cause, which may hold what was unsealed
            raise SealError(f"{self.name}: KMS answered without a plaintext") from None

    def _ask(self, operation: str, context: str, **members: str) -> Mapping[str, Any]:
        body = orjson.dumps(
            {**members, "KeyId": self._key, "EncryptionContext": {CONTEXT: context}}
        )
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"TrentService.{operation}",
        }
        signed = self._sign("POST", self._url, headers, body, datetime.now(UTC))
        answer = self._asking.post(self.name, self._url, signed, body)
        if answer.status != 200:
            raise SealError(f"{self.name}: KMS answers {answer.status}: {_check(answer.members)}")
        return answer.members


def region_of(key: str) -> str | None:
    """The region that a key's ARN names; None of a key that is named otherwise."""
    parts = key.split(":")
    return parts[3] if len(parts) == 6 and parts[0] == "arn" and parts[2] == "kms" else None


def _check(said: Mapping[str, Any]) -> str:
    """What to check, by the type of the error; only types that are known are repeated."""
    kind = str(said.get("__type", "")).rpartition("#")[2]
    return f"{kind}: {_CHECK[kind]}" if kind in _CHECK else "check the service and its endpoint"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
