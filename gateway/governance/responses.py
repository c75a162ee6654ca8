"""Responses that can be read again, and those that run in the background.

A response that was stored is read back from its exchange's record, so it is what its caller
was shown. One in the background is an exchange like any other, run when there is time.
Source: OpenAI's API reference, "Responses".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import structlog

from gateway.core.errors import Code, Denied, GatewayError, Malformed, UpstreamError
from gateway.core.exchange import Call
from gateway.core.ids import new_id
from gateway.core.kept import Came, Kept, Shelf, StoringProvider
from gateway.core.principal import Principal
from gateway.governance.items import RESPONSE, KeptItems, input_items, items_of, says_item
from gateway.governance.unattended import Bell, Reply, Run, owner_of, persistently

ENDPOINT = "/v1/responses"
KEPT_FOR = timedelta(days=30)
_CLAIM = 60.0
_log = structlog.get_logger(__name__)
_SETTLED = frozenset({"completed", "failed", "cancelled", "incomplete"})
_SAID_AGAIN: Mapping[str, Any] = {
    "instructions": None,
    "parallel_tool_calls": True,
    "temperature": None,
    "tool_choice": "auto",
    "tools": (),
    "top_p": None,
}
"""Members of a request that a response repeats, and what they are where they were left out."""


class Responses:
    """What callers do with responses after they were made."""

    def __init__(
        self,
        shelf: Shelf,
        bell: Bell | None = None,
        *,
        most_bytes: int = 10 << 20,
        providers: Mapping[str, StoringProvider] | None = None,
    ) -> None:
        """`most_bytes` is how long the items that one request names may be together;
        `providers` are those, by name, that store responses."""
        self._shelf = shelf
        self._providers = providers or {}
        self._bell = bell or Bell()
        self._items = KeptItems(shelf, most_bytes)

    async def keep(
        self, principal: Principal, asked: Mapping[str, Any], told: Any, came: Came
    ) -> None:
        """Keep what a caller was told of a response, unless it was asked not to be stored."""
        if asked.get("store") is False or not isinstance(told, dict):
            return
        id = told.get("id")
        if not isinstance(id, str):
            return
        kept = _kept(id, principal, asked, dict(told), working=False)
        kept.document.update(exchange_id=came.exchange_id, upstream=came.upstream)
        items = items_of(asked, told)
        known = await self._shelf.get(RESPONSE, id, owner_of(principal))
        if known is None:
            await self._shelf.put(kept, items=items)
        else:  # it is told again, or the provider has used an id twice: the last counts
            document = known.document | kept.document
            if came.upstream is None:  # told from the record of the exchange that it comes of
                document |= {name: known.document.get(name) for name in ("exchange_id", "upstream")}
            await self._shelf.change(known, document, working=False, items=items)

    async def begin(
        self, principal: Principal, asked: Mapping[str, Any], call: Call
    ) -> dict[str, Any]:
        """Take a response in, to be run in the background; as it is shown until then.

        Raises `Malformed`.
        """
        if call.idempotency_key is not None:
            raise Malformed(
                "A response in the background takes no idempotency-key: it would run again.",
                param="background",
            )
        if asked.get("stream"):
            raise Malformed("A response in the background cannot be streamed.", param="stream")
        if asked.get("store") is False:
            raise Malformed("A response in the background must be stored.", param="store")
        told: dict[str, Any] = {
            "id": new_id("resp"),
            "object": "response",
            "created_at": int(datetime.now(UTC).timestamp()),
            "status": "queued",
            "background": True,
            "model": asked.get("model"),
            "metadata": asked.get("metadata") or {},
            "output": [],
            "error": None,
            "incomplete_details": None,
            "usage": None,
            **_said_again(asked),
        }
        kept = _kept(told["id"], principal, asked, told, working=True)
        kept.document["call"] = {"attributes": dict(call.attributes)}
        await self._shelf.put(kept, items=items_of(asked, told))
        self._bell.ring()
        return told

    async def get(self, principal: Principal, id: str) -> tuple[dict[str, Any], str | None]:
        """A response as it stands, and its exchange once it has one.

        Raises `Denied` (NOT_FOUND).
        """
        document = (await self._known(principal, id)).document
        return document["told"], document.get("exchange_id")

    async def upstream_id(self, principal: Principal, id: str) -> str:
        """What the provider calls a response of the app's. Raises `Denied` (NOT_FOUND)."""
        return _upstream_id(await self._known(principal, id))

    async def input_items(self, principal: Principal, id: str) -> list[dict[str, Any]]:
        """What the caller asked, as items, each with an id. Raises `Denied` (NOT_FOUND).

        Items that were named are shown as they are now; those that are gone, as their names.
        """
        items = input_items(id, (await self._known(principal, id)).document["asked"])
        names = [item["id"] for item in items if not says_item(item)]
        found = await self.items(principal, names) if names else {}
        return [item if says_item(item) else found.get(item["id"], item) for item in items]

    async def items(self, principal: Principal, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The app's items among `ids`, each as a request may say it. Raises `Malformed`."""
        return await self._items.named(owner_of(principal), ids)

    async def delete(self, principal: Principal, id: str) -> dict[str, Any]:
        """Destroy what is kept of a response here, and then, if that can be, the provider's copy.

        Raises `Denied` (NOT_FOUND).
        """
        kept = await self._known(principal, id)
        if not await self._shelf.remove(RESPONSE, id, owner_of(principal)):
            raise _missing(id)
        await self._forget(kept)
        return {"id": id, "object": "response", "deleted": True}

    async def cancel(self, principal: Principal, id: str) -> dict[str, Any]:
        """End a response in the background. Raises `Denied` (NOT_FOUND), `Malformed`."""
        while True:
            kept = await self._known(principal, id)
            told = kept.document["told"]
            if not told.get("background"):
                raise Malformed("Only a response in the background can be cancelled.")
            if told["status"] in _SETTLED:
                return dict(told)
            changed = await self._shelf.change(
                kept, kept.document | {"told": told | {"status": "cancelled"}}, working=False
            )
            if changed is not None:
                return dict(changed.document["told"])

    async def _forget(self, kept: Kept) -> None:
        """Have the provider destroy its copy. What it says of that is logged, and no more: what
        is kept here is gone."""
        name = kept.document.get("upstream")
        about = {"upstream": name, "exchange_id": kept.document.get("exchange_id")}
        provider = self._providers.get(name) if name else None
        if provider is None:
            return
        try:
            await provider.forget(_upstream_id(kept))
        except UpstreamError as error:
            _log.warning("provider_copy_left", **about, code=str(error.code), status=error.status)
        else:
            _log.info("provider_copy_destroyed", **about)

    async def _known(self, principal: Principal, id: str) -> Kept:
        kept = await self._shelf.get(RESPONSE, id, owner_of(principal))
        if kept is None:
            raise _missing(id)
        return kept


class ResponseWorker:
    """Runs responses in the background, `together` at once.

    One that was begun by a process that died is not run again, since its model may have been
    paid: it fails, and its exchange is `lost` in the ledger.
    """

    def __init__(
        self,
        shelf: Shelf,
        run: Run,
        *,
        together: int = 8,
        pause: float = 5.0,
        bell: Bell | None = None,
    ) -> None:
        """`pause` is how many seconds pass between two looks for work that nobody rang for."""
        self._shelf = shelf
        self._run = run
        self._together = together
        self._pause = pause
        self._bell = bell or Bell()
        self._name = new_id("wrk")

    async def serve(self) -> None:
        """Work until cancelled. What cannot be done now is tried again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._together):
                group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            worked = False
            try:
                worked = await self.work()
            except Exception as error:  # noqa: BLE001 - one response must not end the worker
                _log.error("response_interrupted", error=type(error).__name__)
            if not worked:
                await self._bell.wait(self._pause)

    async def work(self) -> bool:
        """Bring one response to its end; False when there is none to work on."""
        kept = await self._shelf.claim(RESPONSE, self._name, _CLAIM)
        if kept is None:
            return False
        if kept.document["told"]["status"] != "queued":
            await self._tell(kept, _failed(kept, "The gateway stopped while it was running."))
            return True
        begun = await self._shelf.change(kept, _with(kept, {"status": "in_progress"}), working=True)
        if begun is not None:
            await self._through(begun)
        return True

    async def _through(self, kept: Kept) -> None:
        asked = {**kept.document["asked"], "background": None, "stream": False}
        body = orjson.dumps({name: value for name, value in asked.items() if value is not None})
        attributes = kept.document["call"]["attributes"]
        call = Call(principal=kept.principal, attributes=attributes, kept_elsewhere=True)
        running = asyncio.ensure_future(self._run(ENDPOINT, body, call))
        try:
            while not running.done():
                await asyncio.wait([running], timeout=1.0)
                if not running.done() and not await self._wanted(kept):
                    return
        finally:  # no exchange outlives its worker
            if not running.done():
                running.cancel()
                await asyncio.wait([running])
        reply = running.result()
        shown = {"id": kept.id, "background": True}
        if reply.status == 200:
            told = {**reply.body, **shown}
        else:
            told = _failed(kept, reply.body.get("error") or reply.body)
        await persistently(partial(self._tell, kept, told, reply))

    async def _wanted(self, kept: Kept) -> bool:
        """Whether it is still to be run; keeps the claim. Who cannot be asked is not asked."""
        try:
            standing = await self._shelf.get(RESPONSE, kept.id, kept.owner)
            await self._shelf.renew(kept, self._name, _CLAIM)
        except GatewayError:
            return True
        return standing is not None and standing.document["told"]["status"] != "cancelled"

    async def _tell(self, kept: Kept, told: dict[str, Any], reply: Reply | None = None) -> None:
        """Write how it ended, and which exchange it was."""
        while (standing := await self._shelf.get(RESPONSE, kept.id, kept.owner)) is not None:
            if standing.document["told"]["status"] in _SETTLED:
                return
            document = standing.document | {"told": told}
            items = items_of(document["asked"], told)
            if reply is not None:
                document |= {"exchange_id": reply.exchange_id, "upstream": reply.upstream}
                document["upstream_id"] = reply.body.get("id")
            changed = await self._shelf.change(standing, document, working=False, items=items)
            if changed is not None:
                return


def _kept(
    id: str, principal: Principal, asked: Mapping[str, Any], told: dict[str, Any], *, working: bool
) -> Kept:
    now = datetime.now(UTC)
    document = {"asked": dict(asked), "told": told}
    owner = owner_of(principal)
    return Kept(id, RESPONSE, owner, document, principal, now, now + KEPT_FOR, working=working)


def _upstream_id(kept: Kept) -> str:
    """What the provider calls a response."""
    return str(kept.document.get("upstream_id") or kept.id)


def _with(kept: Kept, news: dict[str, Any]) -> dict[str, Any]:
    return kept.document | {"told": kept.document["told"] | news}


def _said_again(asked: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: asked[name] for name in _SAID_AGAIN if asked.get(name) is not None}
    return {**_SAID_AGAIN, **given}


def _failed(kept: Kept, why: Any) -> dict[str, Any]:
    said = why if isinstance(why, dict) else {"message": str(why)}
    error = {"code": said.get("code") or "server_error", "message": said.get("message") or ""}
    told: dict[str, Any] = kept.document["told"]
    return told | {"status": "failed", "error": said | error}


def _missing(id: str) -> Denied:
    return Denied(Code.NOT_FOUND, f"There is no response {id!r}.")
