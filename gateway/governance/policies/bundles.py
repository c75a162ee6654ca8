"""The bundle for OPA servers: the rule library, and the rules of every revision in use.

A server that has it answers for each of these revisions at once, so that nodes may change from
one to another at different moments, and back. The same revisions give the same bytes.

Source: https://www.openpolicyagent.org/docs/management-bundles
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.core.policy_bundles import MEDIA_TYPE, BundleAnswer, Sign

LONGEST_WAIT = 10.0
"""Seconds that an answer is held back at most: a server that stops waits for it."""

_ROOTS = ["govgate", "packs"]
_WAIT = re.compile(r"(?:^|[;,\s])wait=(\d{1,6})(?:$|[;,\s])")
_NOT_IN_GO = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029"})
"""Characters that OPA's own way of writing JSON escapes, and Python's does not."""


@dataclass(frozen=True, slots=True)
class _Built:
    etag: str
    body: bytes


class Bundles:
    """Holds what OPA servers are given. Belongs to one event loop.

    `library` are the modules of the rule library by file name, `sign` signs the bundle. `packs`
    of a revision are what engines find at `data.pack`.
    """

    def __init__(self, library: Mapping[str, bytes], sign: Sign) -> None:
        self._library = dict(library)
        self._sign = sign
        self._packs: dict[str, Mapping[str, Any]] = {}
        self._custom: dict[str, Mapping[str, bytes]] = {}
        self._holders: dict[str, int] = {}
        self._built: _Built | None = None
        self._changed = asyncio.Event()

    @property
    def revisions(self) -> frozenset[str]:
        """Those that a server with the newest bundle answers for."""
        return frozenset(self._packs)

    def hold(
        self, revision: str, pack: Mapping[str, Any], custom: Mapping[str, bytes] | None = None
    ) -> None:
        """Have servers answer for `revision` too, until it is released as often as it was held.

        `custom` are the modules that its packs bring, by their names: two revisions that name
        one mean the same text.
        """
        self._holders[revision] = self._holders.get(revision, 0) + 1
        if revision not in self._packs:
            self._packs[revision] = pack
            self._custom[revision] = custom or {}
            self._renew()

    def release(self, revision: str) -> None:
        """What `hold` asked for is needed no longer."""
        left = self._holders[revision] - 1
        if left:
            self._holders[revision] = left
        else:
            del self._holders[revision], self._packs[revision], self._custom[revision]
            self._renew()

    async def answer(self, headers: Mapping[str, str]) -> BundleAnswer:
        """The answer to a GET of the bundle; `headers` have names in small letters.

        304 to who has it already (`if-none-match`), at once or, where `prefer` names a `wait`
        in seconds, as soon as there is another or that time is over.
        """
        known = headers.get("if-none-match", "")
        if self._newest().etag in known and (seconds := _patience(headers.get("prefer", ""))):
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed.wait()
        newest = self._newest()
        told = {"etag": newest.etag, "cache-control": "no-cache"}
        if newest.etag in known:
            return BundleAnswer(304, told)
        return BundleAnswer(200, {**told, "content-type": MEDIA_TYPE}, newest.body)

    def _renew(self) -> None:
        """What was built is old; who waits is told."""
        self._built = None
        self._changed.set()
        self._changed = asyncio.Event()

    def _newest(self) -> _Built:
        if self._built is None:
            custom = {name: text for those in self._custom.values() for name, text in those.items()}
            body = bundle_of(self._library, self._packs, self._sign, custom)
            self._built = _Built(f'"{hashlib.sha256(body).hexdigest()}"', body)
        return self._built


def bundle_of(
    library: Mapping[str, bytes],
    packs: Mapping[str, Mapping[str, Any]],
    sign: Sign,
    custom: Mapping[str, bytes] | None = None,
) -> bytes:
    """A signed bundle: gzip of a tar file. `packs` are by revision, `custom` by module.

    Members stand in the order of their names and bear no date, so that it depends on what is
    in it and on nothing else.
    """
    members = {f"/lib/{name}": text for name, text in library.items()}
    members |= {f"/custom/{name}.rego": text for name, text in (custom or {}).items()}
    members["/data.json"] = _canonical({"packs": packs})
    digest = hashlib.sha256()
    for name in sorted(members):
        digest.update(f"{name}\0{len(members[name])}\0".encode() + members[name])
    manifest = {"revision": f"sha256:{digest.hexdigest()}", "roots": _ROOTS, "rego_version": 1}
    members["/.manifest"] = _canonical(manifest)
    members["/.signatures.json"] = _signatures(members, sign)
    return gzip.compress(_tar(members), mtime=0)


def _signatures(members: Mapping[str, bytes], sign: Sign) -> bytes:
    """The file with the signature over the hash of every other file.

    OPA hashes a document of data in its canonical form, which is the form that these are in.
    """
    files = [
        {
            "name": name.removeprefix("/"),
            "hash": hashlib.sha256(members[name]).hexdigest(),
            "algorithm": "SHA-256",
        }
        for name in sorted(members)
    ]
    return _canonical({"signatures": [sign(_canonical({"files": files}))]})


def _tar(members: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            archive.addfile(entry, io.BytesIO(members[name]))
    return written.getvalue()


def _canonical(value: object) -> bytes:
    """JSON without spaces, names in order: as OPA writes what it hashes."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.translate(_NOT_IN_GO).encode()


def _patience(prefer: str) -> float:
    """For how many seconds the asker would wait, as far as it is let."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), LONGEST_WAIT) if found else 0.0
