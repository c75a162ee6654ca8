"""AWS Signature Version 4 of a request with a body and without a query.

Source: AWS's "Signature Version 4 for API requests": canonical request, string to sign,
signing key. For every service but S3 the path is encoded once more before it is signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
from pydantic import SecretStr

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to one service of one region. The keys show in no message."""

    access_key: SecretStr
    secret_key: SecretStr
    session_token: SecretStr | None
    region: str
    service: str

    def signed(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> dict[str, str]:
        """`headers` with those that sign them, the host, the path and `body` as of `now`.

        `url` is as it goes on the wire; headers that are added later are not signed. Raises
        `ValueError` for a URL with a query, or a `now` without a time zone.
        """
        if url.query:
            raise ValueError("a query is not signed here")
        if now.tzinfo is None:
            raise ValueError("a time without its zone is no time to sign")
        when = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        added = {"x-amz-date": when}
        if self.session_token is not None:
            added["x-amz-security-token"] = self.session_token.get_secret_value()
        all_headers = {**headers, **added}
        covered = _canonical_headers({**all_headers, "host": url.netloc.decode()})
        names = ";".join(covered)
        lines = [method, quote(url.raw_path.decode(), safe="/-_.~"), ""]
        lines += [f"{name}:{value}" for name, value in covered.items()]
        request = "\n".join([*lines, "", names, hashlib.sha256(body).hexdigest()])
        scope = f"{when[:8]}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = self._signature("\n".join([_ALGORITHM, when, scope, digest]), scope)
        credential = f"{self.access_key.get_secret_value()}/{scope}"
        authorization = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}"
        return {**all_headers, "authorization": f"{authorization}, Signature={signature}"}

    def _signature(self, text: str, scope: str) -> str:
        key = f"AWS4{self.secret_key.get_secret_value()}".encode()
        for step in scope.split("/"):
            key = hmac.digest(key, step.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def _canonical_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers in lower case and in order, their values without needless spaces."""
    lowered = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    return dict(sorted(lowered.items()))
