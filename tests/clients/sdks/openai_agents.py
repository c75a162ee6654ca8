"""The OpenAI Agents SDK, over chat completions or responses. Its tracing is switched off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import agents
import openai
from agents.models.interface import Model
from reply import Reply, send

agents.set_tracing_disabled(True)  # it would send what was said to api.openai.com


class Application:
    def __init__(self, base_url: str, key: str, model: str, dialect: str = "chat") -> None:
        client = openai.AsyncOpenAI(base_url=base_url, api_key=key)
        self._model: Model
        if dialect == "responses":
            self._model = agents.OpenAIResponsesModel(model, client)
        else:
            self._model = agents.OpenAIChatCompletionsModel(model, client)

    async def hello(self, text: str) -> str:
        return await self._run(text)

    async def stream(self, text: str) -> AsyncIterator[str]:
        result = agents.Runner.run_streamed(agents.Agent(name="a", model=self._model), text)
        try:
            async for event in result.stream_events():
                data = getattr(event, "data", None)
                if getattr(data, "type", "") == "response.output_text.delta":
                    yield data.delta
        finally:
            result.cancel()

    async def tool(self, text: str) -> str:
        return await self._run(text, tools=[agents.function_tool(send)])

    async def structured(self, text: str) -> dict[str, Any]:
        reply: Reply = await self._run(text, output_type=Reply)
        return reply.model_dump()

    async def _run(self, text: str, **more: Any) -> Any:
        agent = agents.Agent(name="a", model=self._model, **more)
        return (await agents.Runner.run(agent, text)).final_output
