"""Pydantic AI: an agent over chat completions, responses or messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from reply import Reply, send


def model_of(base_url: str, key: str, model: str, dialect: str) -> Model[Any]:
    if dialect == "messages":
        root = base_url.removesuffix("/v1")
        return AnthropicModel(model, provider=AnthropicProvider(api_key=key, base_url=root))
    provider = OpenAIProvider(base_url=base_url, api_key=key)
    if dialect == "responses":
        return OpenAIResponsesModel(model, provider=provider)
    return OpenAIChatModel(model, provider=provider)


class Application:
    def __init__(self, base_url: str, key: str, model: str, dialect: str = "chat") -> None:
        self._model = model_of(base_url, key, model, dialect)

    async def hello(self, text: str) -> str:
        return (await Agent(self._model).run(text)).output

    async def stream(self, text: str) -> AsyncIterator[str]:
        async with Agent(self._model).run_stream(text) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                yield piece

    async def tool(self, text: str) -> str:
        return (await Agent(self._model, tools=[send]).run(text)).output

    async def structured(self, text: str) -> dict[str, Any]:
        return (await Agent(self._model, output_type=Reply).run(text)).output.model_dump()
