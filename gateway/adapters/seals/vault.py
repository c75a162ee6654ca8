"""The transit secrets engine of HashiCorp Vault and of OpenBao.

Source: Vault's HTTP API, "Transit secrets engine", "Encrypt data" and "Decrypt data"; status codes
in "HTTP API". The context goes as `associated_data`, which keys of an AEAD type authenticate:
`aes128-gcm96`, `aes256-gcm96` (the default) and `chacha20-poly1305`; not one that is derived.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from gateway.adapters.seals.asking import Asking, checked_address
from gateway.core.seals import SealError

_SEGMENT = re.compile(r"[A-Za-z0-9_.-]+")
_CIPHERTEXT = re.compile(r"[a-z]+:v[0-9]+:[A-Za-z0-9+/=]+")
_CHECK = {
    400: "it refuses the request: is it the key that sealed the keyring, is the keyring's file "
    "unaltered, and is the key of the type aes256-gcm96 and not derived?",
    403: "it refuses the token: has it expired, and may it update encrypt and decrypt of the key?",
    404: "it knows no such path: check mount, key and namespace",
    429: "it asks to come back later",
    503: "it is sealed itself, or being maintained: unseal it",
}


@dataclass(frozen=True, slots=True)
class TransitKey:
    """A key of a transit engine: `<address>/<mount>/<key name>`; the mount may have slashes."""

    address: httpx.URL
    mount: str
    name: str

    @classmethod
    def parsed(cls, text: str) -> TransitKey:
        """Raises `ValueError` for what is no such place."""
        url = checked_address(text)
        segments = url.raw_path.decode().strip("/").split("/")
        good = all(_SEGMENT.fullmatch(part) and part.strip(".") for part in segments)
        if len(segments) < 2 or not good:
            raise ValueError("vault:https://HOST/MOUNT/KEY is wanted")
        return cls(url.copy_with(path="/"), "/".join(segments[:-1]), segments[-1])

    def url(self, operation: str) -> httpx.URL:
        return self.address.join(f"/v1/{self.mount}/{operation}/{self.name}")

    def __str__(self) -> str:
        return f"vault:{str(self.address).rstrip('/')}/{self.mount}/{self.name}"


class VaultSeal:
    """Implements `KeyringSeal`. The token shows in no message."""

    def __init__(
        self, key: TransitKey, token: SecretStr, namespace: str | None, asking: Asking
    ) -> None:
        self._key = key
        self._token = token
        self._namespace = namespace
        self._asking = asking

    @property
    def name(self) -> str:
        return str(self._key)

    def seal(self, secret: bytes, context: str) -> str:
        said = self._ask("encrypt", context, plaintext=_text(secret))
        sealed = said.get("ciphertext")
        if not isinstance(sealed, str) or not _CIPHERTEXT.fullmatch(sealed):
            raise SealError(f"{self.name}: it answered without a ciphertext")
        return sealed

    def unseal(self, sealed: str, context: str) -> bytes:
        if not _CIPHERTEXT.fullmatch(sealed):
            raise SealError(f"{self.name}: what is to be opened was not sealed by Vault")
        said = self._ask("decrypt", context, ciphertext=sealed)
        try:
            return base64.b64decode(said["plaintext"], validate=True)
        except (KeyError, TypeError, ValueError):
            # without the cause, which may hold what was unsealed
            raise SealError(f"{self.name}: it answered without a plaintext") from None

    def _ask(self, operation: str, context: str, **members: str) -> Mapping[str, Any]:
        """The `data` of the engine's answer."""
        headers = {
            "content-type": "application/json",
            "x-vault-request": "true",
            "x-vault-token": self._token.get_secret_value(),
        }
        if self._namespace is not None:
            headers["x-vault-namespace"] = self._namespace
        body = orjson.dumps({**members, "associated_data": _text(context.encode())})
        answer = self._asking.post(self.name, self._key.url(operation), headers, body)
        if answer.status != 200:
            raise SealError(f"{self.name} answers {answer.status}: {_check(answer.status)}")
        said = answer.members.get("data")
        return said if isinstance(said, dict) else {}


def _check(status: int) -> str:
    if 300 <= status < 400:
        return "it sends elsewhere, which is not followed: name the active node"
    return _CHECK.get(status, "check the service's own log")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
