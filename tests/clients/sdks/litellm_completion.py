"""LiteLLM's SDK, over chat completions, responses or messages."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its prices from GitHub

import litellm
from reply import SEND, Reply, send

TOOL: Any = {"type": "function", "function": {"name": "send", "parameters": SEND}}


class Application:
    def __init__(self, base_url: str, key: str, model: str, dialect: str = "openai") -> None:
        root = base_url.removesuffix("/v1") if dialect == "anthropic" else base_url
        self._asked: Any = {"model": f"{dialect}/{model}", "api_base": root, "api_key": key}

    async def hello(self, text: str) -> str:
        return (await self._answer([_user(text)])).content or ""

    async def stream(self, text: str) -> AsyncIterator[str]:
        chunks: Any = await litellm.acompletion(messages=[_user(text)], stream=True, **self._asked)
        try:
            async for chunk in chunks:
                if chunk.choices and (said := chunk.choices[0].delta.content):
                    yield said
        finally:
            await chunks.aclose()

    async def tool(self, text: str) -> str:
        message = await self._answer([_user(text)], tools=[TOOL])
        [call] = message.tool_calls
        result = send(**json.loads(call.function.arguments))
        told = {"role": "tool", "tool_call_id": call.id, "content": result}
        return (await self._answer([_user(text), message, told], tools=[TOOL])).content or ""

    async def structured(self, text: str) -> dict[str, Any]:
        answer = await self._answer([_user(text)], response_format=Reply)
        return Reply.model_validate_json(answer.content).model_dump()

    async def _answer(self, messages: list[Any], **more: Any) -> Any:
        answer: Any = await litellm.acompletion(messages=messages, **self._asked, **more)
        return answer.choices[0].message


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
