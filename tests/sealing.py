"""Services that seal, on real sockets: a transit engine of our own, and moto's KMS."""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.canary-token"
KMS_ACCESS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "canary-secret"}


@dataclass
class Asked:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Service:
    """An HTTP server on a port of its own that keeps what it was asked."""

    asked: list[Asked] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """What is said next, in place of what the service would say."""
    context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.path, headers, self.rfile.read(length))
                service.asked.append(asked)
                if service.answers:
                    status, more, body = service.answers.pop(0)
                else:
                    status, more, body = _json(*service.answer(asked))
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: what was asked is kept."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.context is not None:
            self._server.socket = self.context.wrap_socket(self._server.socket, server_side=True)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        return 404, {"errors": []}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _json(status: int, members: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return status, {"content-type": "application/json"}, json.dumps(members).encode()


@dataclass
class Transit(Service):
    """Vault's transit engine at `team/transit`, with keys of the type aes256-gcm96."""

    token: str = TOKEN
    namespace: str | None = None
    sealed: bool = False

    def __post_init__(self) -> None:
        self.keys: dict[str, list[bytes]] = {"govgate": [os.urandom(32)], "other": [os.urandom(32)]}
        super().__post_init__()

    def place(self, key: str = "govgate") -> str:
        return f"{self.url}/team/transit/{key}"

    def seal(self, key: str = "govgate") -> str:
        """What the setting says."""
        return f"vault:{self.place(key)}"

    def rotate(self, key: str = "govgate") -> None:
        self.keys[key].append(os.urandom(32))

    def answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if asked.headers.get("x-vault-token") != self.token:
            return 403, {"errors": ["permission denied"]}
        if asked.headers.get("x-vault-namespace") != self.namespace:
            return 404, {"errors": ["no handler for route"]}
        prefix, _, key = asked.path.rpartition("/")
        if prefix not in ("/v1/team/transit/encrypt", "/v1/team/transit/decrypt"):
            return 404, {"errors": ["no handler for route"]}
        if key not in self.keys:
            return 400, {"errors": ["encryption key not found"]}
        members = asked.members
        bound = base64.b64decode(members["associated_data"])
        work = self._encrypt if prefix.endswith("encrypt") else self._decrypt
        try:
            return 200, {"data": work(self.keys[key], members, bound)}
        except (InvalidTag, ValueError, IndexError):
            return 400, {"errors": ["cipher: message authentication failed"]}

    def _encrypt(self, keys: list[bytes], members: dict[str, Any], bound: bytes) -> dict[str, Any]:
        nonce, plaintext = os.urandom(12), base64.b64decode(members["plaintext"])
        content = nonce + AESGCM(keys[-1]).encrypt(nonce, plaintext, bound)
        text = base64.b64encode(content).decode()
        return {"ciphertext": f"vault:v{len(keys)}:{text}", "key_version": len(keys)}

    def _decrypt(self, keys: list[bytes], members: dict[str, Any], bound: bytes) -> dict[str, Any]:
        _, version, text = members["ciphertext"].split(":")
        content = base64.b64decode(text)
        key = keys[int(version[1:]) - 1]
        plaintext = AESGCM(key).decrypt(content[:12], content[12:], bound)
        return {"plaintext": base64.b64encode(plaintext).decode()}


@pytest.fixture
def transit() -> Iterator[Transit]:
    """A transit engine."""
    service = Transit()
    yield service
    service.stop()


@dataclass(frozen=True)
class Kms:
    """moto's KMS, and two keys of it."""

    endpoint: str
    key: str
    other: str


@pytest.fixture
def kms(s3: str) -> Kms:
    """A KMS with two symmetric keys; the server is the session's, which speaks S3 too."""
    return Kms(s3, _kms_key(s3), _kms_key(s3))


def _kms_key(endpoint: str) -> str:
    said = httpx.post(
        endpoint,
        content=b"{}",
        headers={
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "TrentService.CreateKey",
            "authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/eu-central-1/kms/aws4_request",
        },
    )
    said.raise_for_status()
    arn: str = said.json()["KeyMetadata"]["Arn"]
    return arn
