"""Files that callers upload, and those that batches write. Encrypted; seen by their app alone.

Source: OpenAI's API reference, "Files".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.core.errors import Code, Denied, Malformed
from gateway.core.ids import new_id
from gateway.core.kept import Kept, Shelf
from gateway.core.principal import Principal
from gateway.governance.unattended import owner_of

FILE = "file"
PURPOSES = ("batch",)
"""What may be uploaded. Other files would reach a provider unseen by any inspector."""
KEPT_FOR = timedelta(days=30)
_LONGEST_NAME = 256


class Files:
    """What callers do with files. One holds at most `most_bytes`."""

    def __init__(self, shelf: Shelf, most_bytes: int) -> None:
        self._shelf = shelf
        self.most_bytes = most_bytes

    async def upload(
        self, principal: Principal, name: str, purpose: object, content: bytes
    ) -> dict[str, Any]:
        """Keep a file. Raises `Malformed`."""
        if purpose not in PURPOSES:
            raise Malformed(
                f"'purpose' must be {' or '.join(PURPOSES)}: no other file can be governed here.",
                param="purpose",
            )
        if len(content) > self.most_bytes:
            raise Malformed(
                f"A file has at most {self.most_bytes} bytes.",
                param="file",
                code=Code.REQUEST_TOO_LARGE,
            )
        now = datetime.now(UTC)
        document = file_document(name[:_LONGEST_NAME], str(purpose), len(content))
        kept = Kept(
            document["id"], FILE, owner_of(principal), document, principal, now, now + KEPT_FOR
        )
        await self._shelf.put(kept, content)
        return document

    async def get(self, principal: Principal, id: str) -> dict[str, Any]:
        """What is known of a file. Raises `Denied` (NOT_FOUND)."""
        kept = await self._shelf.get(FILE, id, owner_of(principal))
        if kept is None:
            raise _missing(id)
        return kept.document

    async def content(self, principal: Principal, id: str) -> bytes:
        """What stands in a file. Raises `Denied` (NOT_FOUND)."""
        content = await self._shelf.content(FILE, id, owner_of(principal))
        if content is None:
            raise _missing(id)
        return content

    async def listed(
        self, principal: Principal, after: str | None, limit: int, purpose: str | None
    ) -> list[dict[str, Any]]:
        """The app's files, the newest first."""
        found = await self._shelf.listed(FILE, owner_of(principal), after, limit)
        documents = [kept.document for kept in found]
        return [each for each in documents if purpose is None or each["purpose"] == purpose]

    async def delete(self, principal: Principal, id: str) -> dict[str, Any]:
        """Destroy a file. Raises `Denied` (NOT_FOUND)."""
        if not await self._shelf.remove(FILE, id, owner_of(principal)):
            raise _missing(id)
        return {"id": id, "object": "file", "deleted": True}


def file_document(name: str, purpose: str, size: int) -> dict[str, Any]:
    """A file as the API shows it."""
    return {
        "id": new_id("file"),
        "object": "file",
        "bytes": size,
        "created_at": int(datetime.now(UTC).timestamp()),
        "filename": name,
        "purpose": purpose,
        "status": "processed",
    }


def _missing(id: str) -> Denied:
    return Denied(Code.NOT_FOUND, f"There is no file {id!r}.")
