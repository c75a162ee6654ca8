"""`openai`, over responses, with either of its clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from openai_client import client_of
from reply import SEND, Reply, send

TOOL: Any = {"type": "function", "name": "send", "parameters": SEND, "strict": True}


class Application:
    def __init__(self, base_url: str, key: str, model: str, vendor: str = "openai") -> None:
        self._responses = client_of(base_url, key, vendor).responses
        self._model = model

    async def hello(self, text: str) -> str:
        return (await self._responses.create(model=self._model, input=text)).output_text

    async def stream(self, text: str) -> AsyncIterator[str]:
        async with self._responses.stream(model=self._model, input=text) as events:
            async for event in events:
                if event.type == "response.output_text.delta":
                    yield event.delta

    async def tool(self, text: str) -> str:
        asked: Any = {"model": self._model, "tools": [TOOL]}
        items: list[Any] = [{"role": "user", "content": text}]
        answer = await self._responses.create(input=items, **asked)
        [call] = [item for item in answer.output if item.type == "function_call"]
        result = send(**json.loads(call.arguments))
        given = {"type": "function_call_output", "call_id": call.call_id, "output": result}
        return (await self._responses.create(input=[*items, call, given], **asked)).output_text

    async def structured(self, text: str) -> dict[str, Any]:
        answer = await self._responses.parse(model=self._model, input=text, text_format=Reply)
        assert answer.output_parsed is not None
        return answer.output_parsed.model_dump()
