"""A real OPA server of our own, what it is given, and what may be wrong with that."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gateway.adapters.bundle_key import BundleKey
from gateway.adapters.opa import Breaker, OpaChild, OpaServer, OpaServerPolicy, library
from gateway.adapters.packs import compose, load_pack, read_folder
from gateway.core.policy_bundles import BundleAnswer
from gateway.governance.policies.bundles import Bundles
from gateway.settings import baseline_pack
from tests.contracts.policy_server import opa_binary

RULES = compose([load_pack(read_folder(baseline_pack()))])
NONE: dict[str, Any] = {"revision": "sha256:none", "rules": {}, "exceptions": {}}
LONG = 30.0  # seconds; a bound for what is broken, not a measure


@dataclass
class Ours:
    """A server of ours, what it is given, and what it said of that."""

    child: OpaChild
    bundles: Bundles
    server: OpaServer
    spoil: Callable[[bytes], bytes] | None = None
    fetched: list[Mapping[str, str]] = field(default_factory=list)
    spoilt: int = 0
    """How often it was given a spoilt bundle."""

    def policy(self, revision: str = RULES.revision) -> OpaServerPolicy:
        return OpaServerPolicy(self.server, revision)

    async def refuses_its_bundle(self) -> None:
        """Wait until the server was given something and asks anew, as if it had nothing: it
        found it no good."""
        await until(lambda: self.spoilt >= 2)
        await self._listens()

    async def _listens(self) -> None:
        """Wait until it answers anything at all."""
        async with asyncio.timeout(LONG), aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    await session.get(f"{self.child.url}/health")
                    return
                await asyncio.sleep(0.01)


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(LONG):
        while not holds():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def ours(
    key: BundleKey, *, public_pem: str | None = None, binary: str | None = None, **more: Any
) -> AsyncIterator[Ours]:
    bundles = Bundles(library(), key.sign)
    bundles.hold(RULES.revision, RULES.data)

    async def fetch(headers: Mapping[str, str]) -> BundleAnswer:
        found.fetched.append(headers)
        answer = await bundles.answer(headers)
        if found.spoil is None or not answer.body:
            return answer
        found.spoilt += 1
        return answer._replace(body=found.spoil(answer.body))

    child = OpaChild(binary or opa_binary(), fetch, public_pem or key.public_pem)
    server = OpaServer(child.url, timeout=LONG, breaker=Breaker(0))
    found = Ours(child, bundles, server, **more)
    await child.start()
    try:
        yield found
    finally:
        await server.stop()
        await child.stop()


def members(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        files = {m.name: archive.extractfile(m) for m in archive.getmembers()}
        return {name: file.read() for name, file in files.items() if file}


def packed(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def without(name: str) -> Callable[[bytes], bytes]:
    return lambda body: packed({n: c for n, c in members(body).items() if n != name})


def with_(name: str, content: bytes) -> Callable[[bytes], bytes]:
    return lambda body: packed({**members(body), name: content})


def weakened(body: bytes) -> bytes:
    files = members(body)
    data = json.loads(files["/data.json"])
    for pack in data["packs"].values():
        pack["rules"] = {"model_access": pack["rules"]["model_access"]}
    return packed({**files, "/data.json": json.dumps(data).encode()})


def unsigned_token(body: bytes) -> bytes:
    """A token that says of itself that it needs no signature."""
    files = members(body)
    token = json.loads(files["/.signatures.json"])["signatures"][0]
    payload = token.split(".")[1]
    none = f"eyJhbGciOiJub25lIn0.{payload}."
    return packed({**files, "/.signatures.json": json.dumps({"signatures": [none]}).encode()})


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "unsigned": without("/.signatures.json"),
    "no signature in it": with_("/.signatures.json", b'{"signatures": []}'),
    "a token without a signature": unsigned_token,
    "rules taken out": weakened,
    "a module that was changed": with_("/lib/decision.rego", b"package govgate\n"),
    "a module more": with_("/lib/more.rego", b"package govgate\n\nextra := 1\n"),
    "a module less": without("/lib/findings.rego"),
    "another manifest": with_("/.manifest", b'{"revision":"x","roots":["govgate","packs"]}'),
    "cut short": lambda body: body[: len(body) // 2],
    "no gzip": lambda body: gzip.decompress(body),
    "no bundle": lambda body: b"<html>It works!</html>",
    "an empty archive": lambda body: packed({}),
}
