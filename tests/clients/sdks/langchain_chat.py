"""LangChain: `ChatOpenAI` over chat completions or responses, `ChatAnthropic` over messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from reply import Reply, send


class Application:
    def __init__(self, base_url: str, key: str, model: str, dialect: str = "chat") -> None:
        self._model: Any
        if dialect == "messages":
            root = base_url.removesuffix("/v1")
            self._model = ChatAnthropic(model=model, base_url=root, api_key=key)
        else:
            self._model = ChatOpenAI(
                model=model,
                base_url=base_url,
                api_key=key,
                use_responses_api=dialect == "responses",
            )

    async def hello(self, text: str) -> str:
        said: str = (await self._model.ainvoke(text)).text
        return said

    async def stream(self, text: str) -> AsyncIterator[str]:
        async with aclosing(self._model.astream(text)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    yield chunk.text

    async def tool(self, text: str) -> str:
        offered = tool(send)
        model = self._model.bind_tools([offered])
        asked: list[Any] = [HumanMessage(text)]
        answer = await model.ainvoke(asked)
        [call] = answer.tool_calls
        result = await offered.ainvoke(call)
        assert isinstance(result, ToolMessage)
        said: str = (await model.ainvoke([*asked, answer, result])).text
        return said

    async def structured(self, text: str) -> dict[str, Any]:
        reply: Reply = await self._model.with_structured_output(Reply).ainvoke(text)
        return reply.model_dump()
