"""instructor, in its modes for tools and for JSON schemas. It answers with models only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import instructor
import openai
from reply import Reply


class Application:
    def __init__(self, base_url: str, key: str, model: str, mode: str = "tools") -> None:
        client = openai.AsyncOpenAI(base_url=base_url, api_key=key)
        modes = {"tools": instructor.Mode.TOOLS, "json": instructor.Mode.JSON_SCHEMA}
        self._client = instructor.from_openai(client, mode=modes[mode])
        self._model = model

    async def hello(self, text: str) -> str:
        return (await self._reply(text)).said

    async def stream(self, text: str) -> AsyncIterator[str]:
        shown = ""
        replies: Any = self._client.chat.completions.create_partial(
            model=self._model,
            response_model=Reply,
            messages=[{"role": "user", "content": text}],
        )
        async with aclosing(replies):
            async for reply in replies:
                if reply.said and reply.said != shown:
                    yield reply.said[len(shown) :]
                    shown = reply.said

    async def structured(self, text: str) -> dict[str, Any]:
        return (await self._reply(text)).model_dump()

    async def _reply(self, text: str) -> Reply:
        reply: Reply = await self._client.chat.completions.create(
            model=self._model,
            response_model=Reply,
            messages=[{"role": "user", "content": text}],
        )
        return reply
