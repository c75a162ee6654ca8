"""`openai`, over chat completions; `AsyncAzureOpenAI` over those of a deployment."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from openai_client import client_of
from reply import SEND, Reply, send

TOOL: Any = {"type": "function", "function": {"name": "send", "parameters": SEND}}


class Application:
    def __init__(self, base_url: str, key: str, model: str, vendor: str = "openai") -> None:
        self._client = client_of(base_url, key, vendor)
        self._model = model

    async def hello(self, text: str) -> str:
        answer = await self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": text}]
        )
        return answer.choices[0].message.content or ""

    async def stream(self, text: str) -> AsyncIterator[str]:
        async with await self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": text}], stream=True
        ) as chunks:
            async for chunk in chunks:
                if chunk.choices and (said := chunk.choices[0].delta.content):
                    yield said

    async def tool(self, text: str) -> str:
        messages: Any = [{"role": "user", "content": text}]
        asked: Any = {"model": self._model, "tools": [TOOL]}
        answer = await self._client.chat.completions.create(messages=messages, **asked)
        message: Any = answer.choices[0].message
        [call] = message.tool_calls
        result = send(**json.loads(call.function.arguments))
        messages += [message, {"role": "tool", "tool_call_id": call.id, "content": result}]
        last = await self._client.chat.completions.create(messages=messages, **asked)
        return last.choices[0].message.content or ""

    async def structured(self, text: str) -> dict[str, Any]:
        answer = await self._client.chat.completions.parse(
            model=self._model,
            messages=[{"role": "user", "content": text}],
            response_format=Reply,
        )
        parsed = answer.choices[0].message.parsed
        assert parsed is not None
        return parsed.model_dump()
