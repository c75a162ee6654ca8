"""`anthropic`, over messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
from reply import SEND, Reply, send

TOOL: Any = {"name": "send", "input_schema": SEND}


class Application:
    def __init__(self, base_url: str, key: str, model: str) -> None:
        root = base_url.removesuffix("/v1")
        self._client = anthropic.AsyncAnthropic(base_url=root, api_key=key)
        self._asked: Any = {"model": model, "max_tokens": 500}

    async def hello(self, text: str) -> str:
        answer = await self._client.messages.create(
            messages=[{"role": "user", "content": text}], **self._asked
        )
        return _text(answer)

    async def stream(self, text: str) -> AsyncIterator[str]:
        async with self._client.messages.stream(
            messages=[{"role": "user", "content": text}], **self._asked
        ) as stream:
            async for piece in stream.text_stream:
                yield piece

    async def tool(self, text: str) -> str:
        messages: Any = [{"role": "user", "content": text}]
        asked = {**self._asked, "tools": [TOOL]}
        answer = await self._client.messages.create(messages=messages, **asked)
        [call] = [block for block in answer.content if block.type == "tool_use"]
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": send(**call.input)}
        messages += [
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": [result]},
        ]
        return _text(await self._client.messages.create(messages=messages, **asked))

    async def structured(self, text: str) -> dict[str, Any]:
        answer = await self._client.messages.parse(
            messages=[{"role": "user", "content": text}], output_format=Reply, **self._asked
        )
        assert answer.parsed_output is not None
        return answer.parsed_output.model_dump()


def _text(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")
