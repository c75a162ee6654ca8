"""LlamaIndex: `OpenAILike`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from reply import Reply, send


class Application:
    def __init__(self, base_url: str, key: str, model: str) -> None:
        self._model = OpenAILike(
            model=model,
            api_base=base_url,
            api_key=key,
            is_chat_model=True,
            is_function_calling_model=True,
        )

    async def hello(self, text: str) -> str:
        answer = await self._model.achat([ChatMessage(role="user", content=text)])
        return answer.message.content or ""

    async def stream(self, text: str) -> AsyncIterator[str]:
        asked = [ChatMessage(role="user", content=text)]
        chunks: Any = await self._model.astream_chat(asked)
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.delta:
                    yield chunk.delta

    async def tool(self, text: str) -> str:
        offered = FunctionTool.from_defaults(send)
        asked = [ChatMessage(role="user", content=text)]
        answer = await self._model.achat_with_tools([offered], chat_history=asked)
        [call] = self._model.get_tool_calls_from_response(answer)
        result = ChatMessage(
            role="tool",
            content=str(offered.call(**call.tool_kwargs)),
            additional_kwargs={"tool_call_id": call.tool_id},
        )
        last = await self._model.achat_with_tools(
            [offered], chat_history=[*asked, answer.message, result]
        )
        return last.message.content or ""

    async def structured(self, text: str) -> dict[str, Any]:
        reply = await self._model.astructured_predict(Reply, PromptTemplate("{text}"), text=text)
        return reply.model_dump()
