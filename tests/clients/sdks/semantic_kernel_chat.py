"""Semantic Kernel: `OpenAIChatCompletion` and `AzureChatCompletion`, over chat completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from openai_client import client_of
from reply import Reply, send
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import (
    AzureChatCompletion,
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
)
from semantic_kernel.contents import ChatHistory
from semantic_kernel.functions import kernel_function


def service_of(base_url: str, key: str, model: str, vendor: str) -> Any:
    client: Any = client_of(base_url, key, vendor)
    if vendor == "azure":
        return AzureChatCompletion(deployment_name=model, async_client=client)
    return OpenAIChatCompletion(ai_model_id=model, async_client=client)


def asked(text: str) -> ChatHistory:
    history = ChatHistory()
    history.add_user_message(text)
    return history


class Application:
    def __init__(self, base_url: str, key: str, model: str, vendor: str = "openai") -> None:
        self._service = service_of(base_url, key, model, vendor)
        self._kernel = Kernel()

    async def hello(self, text: str) -> str:
        return await self._say(text)

    async def stream(self, text: str) -> AsyncIterator[str]:
        settings = OpenAIChatPromptExecutionSettings()
        pieces = self._service.get_streaming_chat_message_content(asked(text), settings)
        async with aclosing(pieces):
            async for piece in pieces:
                if said := str(piece):
                    yield said

    async def tool(self, text: str) -> str:
        self._kernel.add_function("mail", kernel_function(send, name="send"))
        return await self._say(text, function_choice_behavior=FunctionChoiceBehavior.Auto())

    async def structured(self, text: str) -> dict[str, Any]:
        return Reply.model_validate_json(await self._say(text, response_format=Reply)).model_dump()

    async def _say(self, text: str, **more: Any) -> str:
        settings = OpenAIChatPromptExecutionSettings(**more)
        return str(
            await self._service.get_chat_message_content(asked(text), settings, kernel=self._kernel)
        )
