"""The web edge of an exchange: the only place that knows whether the caller wants a stream."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Collection, Mapping

import orjson
from litestar.types import HTTPScope, Receive, Send

from gateway.core.answer import Event, Events
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Denied, Filtered, GatewayError
from gateway.core.exchange import Call, Exchange
from gateway.core.ids import new_id
from gateway.core.pipeline import Proceed
from gateway.server.body import CallerGone, read_body
from gateway.server.callers import credential_of
from gateway.server.errors import INTERNAL, about, headers_of, status_of, with_request_id
from gateway.server.keep_alive import KeepAlive

log = logging.getLogger("govgate.server")

_STREAM = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_JSON = {"content-type": "application/json"}
_METHODS = "POST, OPTIONS"


class DataPlane:
    """Runs one exchange for each request, for as long as the caller stays."""

    def __init__(
        self, pipeline: Proceed, *, body_limit: int, keep_alive_seconds: float = 15.0
    ) -> None:
        """`keep_alive_seconds` is the longest that a stream which has begun says nothing."""
        self._pipeline = pipeline
        self._body_limit = body_limit
        self._keep_alive_seconds = keep_alive_seconds

    async def __call__(
        self,
        dialect: Dialect,
        scope: HTTPScope,
        receive: Receive,
        send: Send,
        model: str | None = None,
    ) -> None:
        """Answer one request of `dialect`; `model` is the model that the path names."""
        if scope["method"] == "OPTIONS":
            await _tell_methods(send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        alive = KeepAlive(send, self._keep_alive_seconds)
        visit = _Visit(dialect, scope["method"], headers, receive, alive, model, self._body_limit)
        try:
            await visit.run(self._pipeline)
        finally:
            alive.stop()


class _Visit:
    """One request, from its first byte to the caller's last."""

    def __init__(
        self,
        dialect: Dialect,
        method: str,
        headers: Mapping[str, str],
        receive: Receive,
        alive: KeepAlive,
        model: str | None,
        body_limit: int,
    ) -> None:
        self._dialect = dialect
        self._method = method
        self._headers = headers
        self._receive = receive
        self._alive = alive
        self._body_limit = body_limit
        self._exchange = Exchange(dialect, self._read, _call(headers, dialect.forwards, model))
        self._request_id = new_id("req")
        self._started = False
        self._sent = 0  # events of a stream
        self._answered = False
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None

    async def run(self, pipeline: Proceed) -> None:
        try:
            if self._method != "POST":
                raise Denied(Code.METHOD_NOT_ALLOWED, "Use POST here.")
            async with self._exchange:
                events = await pipeline(self._exchange)
                await (self._stream if self._exchange.streamed else self._whole)(events)
        except CallerGone:
            return
        except asyncio.CancelledError:
            if not self._gone:
                raise
        except GatewayError as error:
            await self._refuse(error)
        except Exception as error:  # noqa: BLE001 - the caller is told, the log has the place
            _report(self._id, error)
            await self._refuse(INTERNAL)
        finally:
            if self._watcher is not None:
                self._watcher.cancel()

    async def _read(self) -> bytes:
        accepts = self._dialect.accepts
        body = await read_body(self._headers, self._receive, self._body_limit, accepts)
        self._watcher = asyncio.create_task(self._watch(asyncio.current_task()))
        return body

    async def _watch(self, work: asyncio.Task[object] | None) -> None:
        """Cancel the work when the caller hangs up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if work is not None and not self._answered:
            self._gone = True
            work.cancel()

    async def _whole(self, events: Events) -> None:
        heard = [event async for event in events]
        whole = heard[0] if len(heard) == 1 and heard[0].whole else None
        answer = whole or Event(self._dialect.fold(heard))
        kind = _JSON if answer.media is None else {"content-type": answer.media}
        await self._respond(200, kind, answer.encode())

    async def _stream(self, events: Events) -> None:
        async for event in events:
            await self._frame(self._dialect.frame(event), last=False)
        await self._frame(self._dialect.end(), last=True)

    async def _frame(self, frame: bytes, *, last: bool) -> None:
        if not self._started:
            self._started = True
            await self._start(200, _STREAM)
            self._alive.start()
        self._sent += 1
        self._answered = self._answered or last
        await self._alive.send({"type": "http.response.body", "body": frame, "more_body": not last})

    async def _refuse(self, error: GatewayError) -> None:
        """Say no: with a status where nothing was sent yet, else inside the stream."""
        if self._gone or self._answered:
            return
        exchange = self._exchange
        body = with_request_id(self._dialect.error(error, about(exchange, error)), self._id)
        if self._started:
            finished = isinstance(error, Filtered)
            self._dialect.number(Event(body), self._sent)
            await self._frame(self._dialect.frame_error(body, finished=finished), last=True)
        else:
            await self._respond(status_of(error), _JSON | headers_of(error), orjson.dumps(body))

    async def _respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._started = True
        await self._start(status, {**headers, "content-length": str(len(body))})
        self._answered = True
        await self._alive.send({"type": "http.response.body", "body": body, "more_body": False})

    @property
    def _id(self) -> str:
        """The id to quote: the exchange's once it has a record, until then one of the request."""
        return self._exchange.id if self._exchange.knows("account") else self._request_id

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        exchange = self._exchange
        told = {"x-request-id": self._id, "request-id": self._id, **exchange.headers}
        if exchange.timings:
            told["server-timing"] = ", ".join(
                f"{name};dur={spent / 1e6:.3f}" for name, spent in exchange.timings.items()
            )
        pairs = [(k.encode(), v.encode("latin-1")) for k, v in {**told, **headers}.items()]
        await self._alive.send({"type": "http.response.start", "status": status, "headers": pairs})


def _call(headers: Mapping[str, str], forwards: Collection[str], model: str | None) -> Call:
    """What governance reads of the headers. They are attribution; none goes upstream but those
    that belong to the dialect's own API."""
    return Call(
        credential_of(headers),
        {
            name: value
            for name, value in headers.items()
            if name.startswith("x-govgate-") or name in ("traceparent", "x-client-request-id")
        },
        content_type=headers.get("content-type", ""),
        model=model,
        idempotency_key=headers.get("idempotency-key"),
        forwarded={name: headers[name] for name in forwards if name in headers},
    )


async def _tell_methods(send: Send) -> None:
    """Answer OPTIONS: what may be done here."""
    request_id = new_id("req")
    told = {"allow": _METHODS, "x-request-id": request_id, "request-id": request_id}
    pairs = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": 204, "headers": pairs})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _report(request_id: str, error: Exception) -> None:
    """Log an unexpected error without its message, which may hold somebody's text."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s failed: %s\n%s", request_id, type(error).__name__, where)
