"""DSPy: `dspy.LM` with an engine of its own or with LiteLLM, over chat completions."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its prices from GitHub

import dspy
from reply import SEND, Reply, send

TOOL: Any = {"type": "function", "function": {"name": "send", "parameters": SEND}}


class Say(dspy.Module):
    """A program that asks once."""

    def __init__(self, model: dspy.LM) -> None:
        super().__init__()
        self._model = model

    async def aforward(self, text: str) -> dspy.Prediction:
        [said] = await self._model.acall(text)
        return dspy.Prediction(said=said)


class Application:
    def __init__(self, base_url: str, key: str, model: str, engine: str = "auto") -> None:
        self._model = dspy.LM(
            f"openai/{model}", api_base=base_url, api_key=key, engine=engine, cache=False
        )

    async def hello(self, text: str) -> str:
        return str((await Say(self._model).acall(text)).said)

    async def stream(self, text: str) -> AsyncIterator[str]:
        program = dspy.streamify(Say(self._model), is_async_program=True)
        async with aclosing(program(text)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, dspy.Prediction):
                    continue  # the whole of it, at the end
                if said := chunk.choices[0].delta.content:
                    yield said

    async def tool(self, text: str) -> str:
        asked: list[Any] = [{"role": "user", "content": text}]
        [answer] = await self._model.acall(messages=asked, tools=[TOOL])
        [call] = answer["tool_calls"]
        result = send(**json.loads(call["function"]["arguments"]))
        told = {"role": "tool", "tool_call_id": call["id"], "content": result}
        called = {"role": "assistant", "content": None, "tool_calls": [call]}
        [last] = await self._model.acall(messages=[*asked, called, told], tools=[TOOL])
        return last if isinstance(last, str) else last["text"]

    async def structured(self, text: str) -> dict[str, Any]:
        [said] = await self._model.acall(text, response_format=Reply)
        return Reply.model_validate_json(said).model_dump()
