"""What is kept for callers, and who keeps it: ports, like those of `ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from gateway.core.exchange import Call
from gateway.core.principal import Principal


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a kept thing is: every key of the app may see it, and nobody else."""

    org: str
    app: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that is kept for its owner: a file, a batch, a response.

    `document` is what an API shows of it, and `principal` who made it, as `Principal` has it.
    Both rest encrypted. `version` counts its changes.
    """

    id: str
    kind: str
    owner: Owner
    document: dict[str, Any]
    principal: Principal
    created: datetime
    expires: datetime | None = None
    working: bool = False
    """Whether a worker still has to do with it."""
    version: int = 0


Items: TypeAlias = Mapping[str, bool]
"""Ids of the items that a document holds. True for those that it brought into being: they are its
own from now on. Others are its own only where no document had them before."""


class Shelf(Protocol):
    """Keeps documents for their owners, encrypted. Every method raises `Unavailable`."""

    async def put(
        self, kept: Kept, content: bytes | None = None, *, items: Items | None = None
    ) -> None:
        """Keep a new document, the content of a file, and whose items it has. Durable on return."""

    async def get(self, kind: str, id: str, owner: Owner) -> Kept | None:
        """The document; None when there is none, it has expired, or is another's."""

    async def content(self, kind: str, id: str, owner: Owner) -> bytes | None:
        """The content of a file; None as `get` says."""

    async def change(
        self,
        kept: Kept,
        document: dict[str, Any],
        *,
        working: bool,
        items: Items | None = None,
        expires: datetime | None = None,
    ) -> Kept | None:
        """Write `document` for `kept`'s; None when somebody changed it meanwhile.

        `items` replace those that it had, `expires` is its new end; None leaves them.
        """

    async def listed(self, kind: str, owner: Owner, after: str | None, limit: int) -> list[Kept]:
        """The newest first; `after` is the id of the last that was seen."""

    async def several(self, kind: str, ids: Collection[str], owner: Owner) -> list[Kept]:
        """Those of these documents that `get` would give, in no order."""

    async def homes(self, owner: Owner, items: Collection[str]) -> dict[str, str]:
        """By the id of an item: the id of the owner's document that it came in.

        Items that nobody of the owner's has told of are left out.
        """

    async def remove(self, kind: str, id: str, owner: Owner) -> bool:
        """Destroy its key and its bytes; False when there was none."""

    async def claim(self, kind: str, worker: str, seconds: float) -> Kept | None:
        """A document with work left that nobody works on, for `seconds`; None when none is."""

    async def renew(self, kept: Kept, worker: str, seconds: float) -> bool:
        """Keep the claim; False when it was lost."""

    async def begin_line(self, batch: Kept, index: int, worker: str) -> bool:
        """Say that a line of a batch is begun. Durable on return.

        False when the line was begun before, or `worker` has no claim on the batch any more.
        """

    async def end_line(self, batch: Kept, index: int, result: bytes) -> None:
        """Keep the result of a line that was begun. Durable on return."""

    async def lines(self, batch: Kept) -> dict[int, bytes | None]:
        """Every line that was begun, by index; its result, None where there is none."""


@dataclass(frozen=True, slots=True)
class Came:
    """Where a response comes from: its exchange, and the provider that has a copy, if one has."""

    exchange_id: str
    upstream: str | None = None


class StoredConversations(Protocol):
    """Conversations that a response may go on in."""

    async def turns(self, principal: Principal, id: str) -> list[dict[str, Any]]:
        """What was said in one of the app's so far, as items of a request.

        Raises `Denied` (NOT_FOUND) for any other, `Malformed` when it is too long, `Unavailable`.
        """

    async def append(
        self, principal: Principal, id: str, asked: Mapping[str, Any], told: Mapping[str, Any]
    ) -> None:
        """Add a turn: what was asked, and what was told. Raises `GatewayError`."""


class StoredResponses(Protocol):
    """Responses that can be read again after they were told."""

    async def keep(
        self, principal: Principal, asked: Mapping[str, Any], told: Any, came: Came
    ) -> None:
        """Keep what was told, unless `asked` says not to. Raises `Unavailable`."""

    async def begin(
        self, principal: Principal, asked: Mapping[str, Any], call: Call
    ) -> dict[str, Any]:
        """Take one in that is to run in the background; as it is shown until then.

        Raises `Malformed`, `Unavailable`.
        """

    async def items(self, principal: Principal, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """By id: the items among `ids` that the principal's app has kept, to be said in a request.

        Raises `Malformed` when they are too much for one request, `Unavailable`.
        """

    async def upstream_id(self, principal: Principal, id: str) -> str:
        """What the provider calls a response that the principal's app may go on from.

        Raises `Denied` (NOT_FOUND) for any other, `Unavailable`.
        """


class StoringProvider(Protocol):
    """A provider that stores responses until it is told to forget them."""

    async def forget(self, response_id: str) -> None:
        """Have it destroy its copy, by its own id. Raises `UpstreamError`."""
