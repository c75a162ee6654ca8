"""A private server that speaks S3's API, with object lock, for tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import obstore.store
import pytest

from tests.houses import free_port, wait_for

_LOCKED = (
    '<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    "<Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)
ACCESS = {"region": "us-east-1", "access_key_id": "k", "secret_access_key": "s"}


@dataclass(frozen=True)
class Bucket:
    """A bucket in which nothing can be deleted for a day."""

    endpoint: str
    name: str

    @property
    def access(self) -> dict[str, str]:
        return ACCESS | {"endpoint": self.endpoint}

    def url(self, prefix: str) -> str:
        return f"s3://{self.name}/{prefix}"

    def content(self, key: str) -> bytes:
        return httpx.get(f"{self.endpoint}/{self.name}/{key}").content

    def versions(self) -> list[tuple[str, str]]:
        """The key and the version of each object."""
        text = httpx.get(f"{self.endpoint}/{self.name}?versions").text
        found = []
        for one in text.split("<Version>")[1:]:
            key = one.partition("<Key>")[2].partition("<")[0]
            found.append((key, one.partition("<VersionId>")[2].partition("<")[0]))
        return found

    def delete(self, key: str, version: str) -> int:
        """Try to delete a version; the answer's status."""
        address = f"{self.endpoint}/{self.name}/{key}?versionId={version}"
        return httpx.delete(address).status_code


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Where the session's server is."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process: subprocess.Popen[bytes] = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
    try:
        wait_for(f"http://127.0.0.1:{port}/moto-api/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of its own with object lock."""
    name = f"b{uuid4().hex}"
    put = {"x-amz-bucket-object-lock-enabled": "true"}
    httpx.put(f"{s3}/{name}", headers=put).raise_for_status()
    kind = {"content-type": "application/xml"}
    httpx.put(f"{s3}/{name}?object-lock", content=_LOCKED, headers=kind).raise_for_status()
    _announce_checksums(monkeypatch)
    return Bucket(s3, name)


def _announce_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 takes the checksum that is sent; this server wants its algorithm named besides."""
    made = obstore.store.S3Store
    header = {"x-amz-sdk-checksum-algorithm": "SHA256"}

    def announcing(*given: Any, client_options: Any = None, **told: Any) -> Any:
        options = {**(client_options or {}), "default_headers": header}
        return partial(made, client_options=options)(*given, **told)

    monkeypatch.setattr(obstore.store, "S3Store", announcing)
