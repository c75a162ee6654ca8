"""Run one Python client for the tests: a task in, what came of it out, each a line of JSON.

    python drive.py MODULE [dialect]

It runs in the environment of that client, which has nothing of ours. MODULE stands beside this
file and has a class `Application`, which does what applications do with the package:

    Application(base_url, key, model, *dialect)
    async hello(text) -> str              one answer
    stream(text) -> AsyncIterator[str]    an answer in pieces
    async tool(text) -> str               `send` is called and answered; what is said then
    async structured(text) -> dict        an answer as `Reply`

A task is an object with `do`, `text`, `base_url`, `key`, `model`. What came of it has `said`,
`pieces` and `waits` (the seconds that the package wanted to wait; it is not left to), or `error`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TextIO

import anyio

SHORT = 0.2
"""Seconds. What waits less is no retry."""


class Application(Protocol):
    async def hello(self, text: str) -> str: ...
    def stream(self, text: str) -> AsyncIterator[str]: ...
    async def tool(self, text: str) -> str: ...
    async def structured(self, text: str) -> dict[str, Any]: ...


def count_waits(waits: list[float]) -> None:
    """Write down what the package waits between its attempts, and do not wait."""
    asleep, asleep_async, asleep_anyio = time.sleep, asyncio.sleep, anyio.sleep

    def sleep(seconds: float) -> None:
        if seconds < SHORT:
            return asleep(seconds)
        waits.append(seconds)
        return None

    def passing(real: Callable[..., Any]) -> Callable[..., Any]:
        async def sleep(seconds: float, *more: Any) -> Any:
            if seconds < SHORT:
                return await real(seconds, *more)
            waits.append(seconds)
            return None

        return sleep

    time.sleep = sleep
    asyncio.sleep = passing(asleep_async)
    anyio.sleep = passing(asleep_anyio)


async def perform(application: Application, do: str, text: str, pieces: list[str]) -> Any:
    """What the application says in the end; `pieces` of it as they come."""
    if do in ("hello", "tool", "structured"):
        return await getattr(application, do)(text)
    begun = asyncio.Event()

    async def read() -> None:
        try:
            async for piece in application.stream(text):
                pieces.append(piece)
                begun.set()
        finally:
            begun.set()

    reading = asyncio.ensure_future(read())
    if do == "hang up":  # as a web server does when its own caller has gone
        await begun.wait()
        while not reading.done():  # until it heeds it, as anyio does
            reading.cancel()
            await asyncio.wait({reading}, timeout=SHORT / 10)
    await asyncio.wait({reading})
    if not reading.cancelled():
        reading.result()
    return "".join(pieces)


def decision_of(error: BaseException | None) -> str | None:
    """The decision that the body of an error names, or that of the error that it came from."""
    while error is not None:
        body = getattr(error, "body", None)
        if isinstance(body, dict):
            said = body.get("error") or body  # Anthropic's package keeps the whole of it
            if governance := said.get("governance"):
                found: str = governance["decision_id"]
                return found
        error = error.__cause__ or error.__context__
    return None


async def attempt(make: Callable[..., Application], task: dict[str, Any]) -> dict[str, Any]:
    """Do the task as a new application."""
    application = make(task["base_url"], task["key"], task["model"], *sys.argv[2:])
    pieces: list[str] = []
    try:
        said = await perform(application, task["do"], task["text"], pieces)
    except Exception as error:  # noqa: BLE001 - whatever the package raises is what we look at
        told = {
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "message": str(error),
            "decision": decision_of(error),
        }
        return {"error": told, "pieces": pieces}
    return {"said": said, "pieces": pieces}


async def work(make: Callable[..., Application], answers: TextIO) -> None:
    """Do task after task, in one event loop, which lives on in between as a server's does."""
    waits: list[float] = []
    count_waits(waits)
    while line := await asyncio.to_thread(sys.stdin.readline):
        waits.clear()
        came = await attempt(make, json.loads(line))
        print(json.dumps({**came, "waits": waits}), file=answers, flush=True)


def main() -> None:
    make = importlib.import_module(sys.argv[1]).Application
    answers, sys.stdout = sys.stdout, sys.stderr  # what packages print is no answer
    asyncio.run(work(make, answers))


if __name__ == "__main__":
    main()
