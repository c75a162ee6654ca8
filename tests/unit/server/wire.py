"""An ASGI server of one request, for tests: what comes in is told, what goes out is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson


class Wire:
    """One request and what was answered. `receive` and `send` are those of ASGI."""

    def __init__(
        self,
        *,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        kind: str = "http",
    ) -> None:
        known = {"content-type": "application/json", **(headers or {})}
        self.scope: Any = {
            "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "server": ("gateway", 80), "client": ("caller", 1),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in known.items()],
        }  # fmt: skip
        self._coming: list[dict[str, Any]] = [
            {"type": "http.request", "body": body, "more_body": False}
        ]
        self.gone = asyncio.Event()
        """Set it to hang up."""
        self.out: list[dict[str, Any]] = []
        self.news = asyncio.Event()
        """Set whenever something was sent."""

    async def receive(self) -> Any:
        if self._coming:
            return self._coming.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.out.append(message)
        self.news.set()

    @property
    def status(self) -> int:
        status: int = self.out[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        pairs: Sequence[tuple[bytes, bytes]] = self.out[0]["headers"]
        return {name.decode(): value.decode("latin-1") for name, value in pairs}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.out[1:])

    @property
    def over(self) -> bool:
        """Whether the answer was ended."""
        return bool(self.out) and self.out[-1].get("more_body") is False

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)
