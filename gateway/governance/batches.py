"""Batches: every line of an input file is a governed exchange, run when there is time.

A line is refused, masked, held, recorded and settled as if its caller had sent it alone; what
it came to stands in the output file, or, where it was refused or failed, in the error file.
Source: OpenAI's API reference, "Batch".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import structlog

from gateway.core.errors import Code, Denied, GatewayError, Malformed
from gateway.core.exchange import Call
from gateway.core.ids import new_id
from gateway.core.kept import Kept, Shelf
from gateway.core.principal import Principal
from gateway.governance.batch_input import Fault, Line, read_lines
from gateway.governance.files import FILE, file_document
from gateway.governance.unattended import Bell, Reply, Run, owner_of, persistently

BATCH = "batch"
WINDOWS = {"24h": timedelta(hours=24)}
KEPT_FOR = timedelta(days=30)
"""How long a batch and its files can be read after it was made."""
_log = structlog.get_logger(__name__)
_CLAIM = 60.0
"""Seconds for which a worker that gives no sign keeps its batch."""
_SETTLED = frozenset({"completed", "failed", "expired", "cancelled"})
_LOST = {
    "code": "gateway_restarted",
    "message": "The gateway stopped while this request was running; the model may have worked.",
}
_NOT_RUN = {
    "cancelling": {"code": "batch_cancelled", "message": "The batch was cancelled first."},
    "expired": {"code": "batch_expired", "message": "The batch's time was over first."},
}


class Batches:
    """What callers do with batches. `endpoints` are the paths whose requests may be batched."""

    def __init__(self, shelf: Shelf, endpoints: Sequence[str], bell: Bell | None = None) -> None:
        self._shelf = shelf
        self._bell = bell or Bell()
        self._endpoints = tuple(endpoints)

    async def create(self, principal: Principal, wish: Mapping[str, Any]) -> dict[str, Any]:
        """A new batch over a file that was uploaded. Raises `Malformed`, `Denied`."""
        endpoint, window = wish.get("endpoint"), wish.get("completion_window")
        if endpoint not in self._endpoints:
            raise Malformed(
                f"'endpoint' must be one of {', '.join(self._endpoints)}.", param="endpoint"
            )
        if window not in WINDOWS:
            raise Malformed("'completion_window' must be \"24h\".", param="completion_window")
        file_id = wish.get("input_file_id")
        owner = owner_of(principal)
        file = await self._shelf.get(FILE, file_id, owner) if isinstance(file_id, str) else None
        if file is None or file.document["purpose"] != "batch":
            raise Malformed(
                "'input_file_id' must name a file of yours with the purpose 'batch'.",
                param="input_file_id",
            )
        now = datetime.now(UTC)
        document = _new_document(endpoint, file.id, str(window), _metadata(wish), now)
        kept = Kept(
            document["id"], BATCH, owner, document, principal, now, now + KEPT_FOR, working=True
        )
        await self._shelf.put(kept)
        self._bell.ring()
        return document

    async def get(self, principal: Principal, id: str) -> dict[str, Any]:
        """A batch as it stands. Raises `Denied` (NOT_FOUND)."""
        return (await self._known(principal, id)).document

    async def listed(
        self, principal: Principal, after: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """The app's batches, the newest first."""
        found = await self._shelf.listed(BATCH, owner_of(principal), after, limit)
        return [kept.document for kept in found]

    async def cancel(self, principal: Principal, id: str) -> dict[str, Any]:
        """Begin no more of its lines. Raises `Denied` (NOT_FOUND), `Malformed` once it is over."""
        while True:
            kept = await self._known(principal, id)
            if kept.document["status"] in _SETTLED:
                raise Malformed(f"The batch is {kept.document['status']} already.")
            wanted = {"status": "cancelling", "cancelling_at": _stamp(datetime.now(UTC))}
            changed = await self._shelf.change(kept, kept.document | wanted, working=True)
            if changed is not None:
                return changed.document

    async def _known(self, principal: Principal, id: str) -> Kept:
        kept = await self._shelf.get(BATCH, id, owner_of(principal))
        if kept is None:
            raise Denied(Code.NOT_FOUND, f"There is no batch {id!r}.")
        return kept


class BatchWorker:
    """Works on one batch at a time. Any number may run, in any number of processes: a batch is
    claimed, and none of its lines begins without the claim.

    A line that was begun by a process that died is not run again, since its model may have been
    paid: it ends in the error file, and its exchange as `lost` in the ledger.
    """

    def __init__(
        self,
        shelf: Shelf,
        run: Run,
        *,
        places: asyncio.Semaphore | None = None,
        together: int = 4,
        pause: float = 5.0,
        bell: Bell | None = None,
    ) -> None:
        """`together` lines are under way; `places`, which workers share, bounds those that run.

        `pause` is how many seconds pass between two looks for work that nobody rang for.
        """
        self._shelf = shelf
        self._run = run
        self._places = places or asyncio.Semaphore(together)
        self._together = together
        self._pause = pause
        self._bell = bell or Bell()
        self._name = new_id("wrk")

    async def serve(self) -> None:
        """Work until cancelled. What cannot be done now is tried again."""
        while True:
            worked = False
            try:
                worked = await self.work()
            except Exception as error:  # noqa: BLE001 - one batch must not end the worker
                _log.error("batch_interrupted", error=type(error).__name__)
            if not worked:
                await self._bell.wait(self._pause)

    async def work(self) -> bool:
        """Bring one batch to its end; False when there is none to work on."""
        batch = await self._shelf.claim(BATCH, self._name, _CLAIM)
        if batch is None:
            return False
        working = asyncio.ensure_future(self._work(batch))
        keeper = asyncio.create_task(self._keep(batch, working))
        try:
            await asyncio.wait([working])
        finally:
            keeper.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait([working])
        if not working.cancelled():  # else the claim was lost, and another goes on
            working.result()
        return True

    async def _work(self, batch: Kept) -> None:
        content = await self._shelf.content(FILE, batch.document["input_file_id"], batch.owner)
        if content is None:
            await self._fail(batch, [Fault("file_not_found", "The input file was deleted.")])
            return
        lines, faults = await asyncio.to_thread(read_lines, content, batch.document["endpoint"])
        if faults:
            await self._fail(batch, faults)
        else:
            await self._go_through(batch, lines)

    async def _go_through(self, batch: Kept, lines: Sequence[Line]) -> None:
        begun = await self._shelf.lines(batch)
        for index, result in begun.items():
            if result is None:  # by a process that died
                await self._shelf.end_line(batch, index, orjson.dumps({"error": _LOST}))
        await self._note(batch, "in_progress", _counts(lines))
        ahead = iter([line for line in lines if line.index not in begun])
        async with asyncio.TaskGroup() as group:
            for _ in range(self._together):
                group.create_task(self._take(batch, ahead))
        await self._finish(batch, lines)

    async def _take(self, batch: Kept, ahead: Iterator[Line]) -> None:
        """Run lines until there are none left, or the batch is to stop."""
        for line in ahead:
            if await persistently(partial(self._stopped, batch)) is not None:
                return
            begin = partial(self._shelf.begin_line, batch, line.index, self._name)
            if not await persistently(begin):
                continue
            result = orjson.dumps({"response": _shown(await self._reply(batch, line))})
            await persistently(partial(self._shelf.end_line, batch, line.index, result))

    async def _reply(self, batch: Kept, line: Line) -> Reply:
        """What became of a line. One that its key's rate does not let in yet waits."""
        while True:
            async with self._places:
                call = Call(principal=batch.principal)
                reply = await self._run(batch.document["endpoint"], line.body, call)
            if reply.too_fast is None or await self._stopped(batch) is not None:
                return reply
            await asyncio.sleep(reply.too_fast)

    async def _stopped(self, batch: Kept) -> str | None:
        """Why no more lines may begin: `cancelling` or `expired`; None while they may."""
        if datetime.now(UTC).timestamp() >= batch.document["expires_at"]:
            return "expired"
        standing = await self._standing(batch)
        return None if standing and standing.document["status"] != "cancelling" else "cancelling"

    async def _finish(self, batch: Kept, lines: Sequence[Line]) -> None:
        results = await self._shelf.lines(batch)
        stopped = await self._stopped(batch) if len(results) < len(lines) else None
        why = _NOT_RUN[stopped] if stopped else _LOST
        good, bad = await asyncio.to_thread(_sorted_out, lines, results, why)
        await self._note(batch, "finalizing", {})
        news = {
            "output_file_id": await self._write(batch, good, "output"),
            "error_file_id": await self._write(batch, bad, "error"),
            **_counts(lines, len(good), len(bad)),
        }
        ending = {"cancelling": "cancelled", "expired": "expired"}.get(stopped or "", "completed")
        await self._note(batch, ending, news)

    async def _write(self, batch: Kept, lines: Sequence[bytes], what: str) -> str | None:
        """Keep an output file; its id, None where it would be empty."""
        if not lines:
            return None
        content = b"\n".join(lines) + b"\n"
        document = file_document(f"{batch.id}_{what}.jsonl", "batch_output", len(content))
        now = datetime.now(UTC)
        kept = Kept(
            document["id"], FILE, batch.owner, document, batch.principal, now, now + KEPT_FOR
        )
        await persistently(partial(self._shelf.put, kept, content))
        return str(document["id"])

    async def _fail(self, batch: Kept, faults: Sequence[Fault]) -> None:
        errors = {"object": "list", "data": [fault.shown() for fault in faults]}
        await self._note(batch, "failed", {"errors": errors})

    async def _note(self, batch: Kept, status: str, news: Mapping[str, Any]) -> None:
        """Write into the batch's document that it has come to `status`, and `news`.

        Who cancels it may do so meanwhile; that it is to end stays written.
        """
        while (standing := await persistently(partial(self._standing, batch))) is not None:
            document = {**standing.document, **news}
            if status in _SETTLED or document["status"] != "cancelling":
                document |= {"status": status, f"{status}_at": _stamp(datetime.now(UTC))}
            working = document["status"] not in _SETTLED
            change = partial(self._shelf.change, standing, document, working=working)
            if await persistently(change) is not None:
                return

    async def _standing(self, batch: Kept) -> Kept | None:
        return await self._shelf.get(BATCH, batch.id, batch.owner)

    async def _keep(self, batch: Kept, working: asyncio.Future[None]) -> None:
        """Keep the claim while there is work; without it, stop."""
        kept_at = time.monotonic()
        while True:
            await asyncio.sleep(_CLAIM / 4)
            held = True
            with suppress(GatewayError):
                held = await self._shelf.renew(batch, self._name, _CLAIM)
                kept_at = time.monotonic() if held else kept_at
            if not held or time.monotonic() - kept_at > _CLAIM * 0.75:
                working.cancel()
                return


def _sorted_out(
    lines: Sequence[Line], results: Mapping[int, bytes | None], why: Mapping[str, str]
) -> tuple[list[bytes], list[bytes]]:
    """The lines of the output file, and those of the error file, in the order asked.

    A line without a result was not run; `why`.
    """
    good: list[bytes] = []
    bad: list[bytes] = []
    for line in lines:
        result = results.get(line.index)
        told = {"error": why} if result is None else orjson.loads(result)
        response = told.get("response")
        row = {
            "id": new_id("batch_req"),
            "custom_id": line.custom_id,
            "response": response,
            "error": told.get("error"),
        }
        fine = response is not None and response["status_code"] == 200
        (good if fine else bad).append(orjson.dumps(row))
    return good, bad


def _shown(reply: Reply) -> dict[str, Any]:
    return {"status_code": reply.status, "request_id": reply.exchange_id, "body": reply.body}


def _counts(lines: Sequence[Line], completed: int = 0, failed: int = 0) -> dict[str, Any]:
    counts = {"total": len(lines), "completed": completed, "failed": failed}
    return {"request_counts": counts}


def _metadata(wish: Mapping[str, Any]) -> dict[str, Any] | None:
    metadata = wish.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise Malformed("'metadata' must be an object.", param="metadata")
    return metadata


def _new_document(
    endpoint: str, file_id: str, window: str, metadata: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    moments = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling",
               "cancelled")  # fmt: skip
    return {
        "id": new_id("batch"),
        "object": "batch",
        "endpoint": endpoint,
        "errors": None,
        "input_file_id": file_id,
        "completion_window": window,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": _stamp(now),
        "expires_at": _stamp(now + WINDOWS[window]),
        **{f"{moment}_at": None for moment in moments},
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": metadata,
    }


def _stamp(moment: datetime) -> int:
    return int(moment.timestamp())
