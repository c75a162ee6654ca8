"""Running the gateway in this process: serving, the tour, the doctor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from rich.console import Console

from gateway.adapters.store.keys import NewKey
from gateway.adapters.store.migrate import migrate
from gateway.core.money import usd
from gateway.server.telling import Telling
from gateway.settings import Settings
from gateway.wiring import Gateway, build

_POOR = "0.000001"
"""A budget in dollars that covers nothing."""


def serve(settings: Settings) -> None:
    """Migrate and serve until told to stop."""
    _log_to_stderr()
    migrate(settings.database_url)
    gateway = build(settings)
    _freeze()
    server = Telling(_config(gateway, settings))
    server.run()
    if not server.started:
        sys.exit(1)


def demo(settings: Settings, *, once: bool) -> None:
    """Serve, show the tour, and unless `once` go on serving."""
    _log_to_stderr()
    migrate(settings.database_url)
    asyncio.run(_demo(settings, once=once))


async def examine(settings: Settings) -> dict[str, str]:
    """What each part that an exchange needs has to say: "ok", or what is wrong."""
    try:
        gateway = build(settings)
        await gateway.start()
    except Exception as error:  # noqa: BLE001 - whatever it is, that is the finding
        return {"start": f"{type(error).__name__}: {error}"}
    states: dict[str, str] = {}
    for name, probe in gateway.probes.items():
        try:
            await probe()
            states[name] = "ok"
        except Exception as error:  # noqa: BLE001 - whatever it is, that is the finding
            states[name] = f"{type(error).__name__}: {error}"
    states["log"] = gateway.notary.log.state.problem or "ok"
    await gateway.stop()
    return states


async def _demo(settings: Settings, *, once: bool) -> None:
    from gateway.tour import Tour  # the openai client takes a while to import

    console = Console()
    gateway = build(settings)
    server = uvicorn.Server(_config(gateway, settings))
    listening = _listen(settings, any_port=once)
    port = listening.getsockname()[1]
    serving = asyncio.create_task(server.serve([listening]))
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the server did not start")
        await asyncio.sleep(0.02)
    key, _ = await gateway.keys.create(NewKey(team="demo", app="tour", env=settings.env))
    poor, _ = await gateway.keys.create(
        NewKey(team="demo", app="tour-poor", env=settings.env, budget=usd(_POOR))
    )
    base_url = f"http://{settings.server.host}:{port}/v1"

    async def read(exchange_id: str) -> Sequence[Mapping[str, Any]]:
        entries = await gateway.records.read_exchange(exchange_id)
        return [
            {
                "exchange_id": exchange_id,
                "kind": str(entry.kind),
                "header": entry.header,
                "parts": entry.parts or {},
                "leaf": entry.leaf,
            }
            for entry in entries
        ]

    console.print(
        f"\nGovgate serves on {base_url}. Five exchanges, as an application makes them:\n"
    )
    try:
        await Tour(base_url, key, poor, "replay-small", read, console).run()
        if not once:
            _next_steps(console, base_url, key)
            await serving
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await serving


def _next_steps(console: Console, base_url: str, key: str) -> None:
    console.print(
        f"""
[bold]Now yours.[/bold] The gateway goes on serving; Ctrl-C stops it.

  base URL   {base_url}
  API key    {key}   (shown once)

  from openai import OpenAI
  client = OpenAI(base_url="{base_url}", api_key="{key}")
  client.chat.completions.create(
      model="replay-small", messages=[{{"role": "user", "content": "Hello"}}])

A real provider, by one environment variable:

  GOVGATE_UPSTREAM__API_KEY=sk-…                        OpenAI
  GOVGATE_UPSTREAM__BASE_URL=http://127.0.0.1:11434/v1  any OpenAI-compatible server

More keys: .venv/bin/govgate keys create --app my-app --budget 5.00
The rules: policies/packs/baseline. The way in: docs/tutorials/first-exchange.md
""",
        highlight=False,
        soft_wrap=True,
    )


def _config(gateway: Gateway, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        gateway.app,
        host=settings.server.host,
        port=settings.server.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=True,
        log_config=None,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.server.shutdown_seconds,
    )


def _listen(settings: Settings, *, any_port: bool) -> socket.socket:
    """A listening socket; where `any_port`, on another port when the wanted one is taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in settings.server.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.server.host, settings.server.port))
    except OSError as error:
        if not any_port:
            sys.exit(
                f"port {settings.server.port} is taken ({error.strerror}); "
                "choose another: GOVGATE_SERVER__PORT=8081 make run"
            )
        listening.bind((settings.server.host, 0))
    return listening


def _freeze() -> None:
    """Spare the garbage collector what was built at the start, and most of its rounds.

    An exchange makes some thousands of objects and hardly a cycle: at Python's 700 the
    collector would run several times for each, to find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _log_to_stderr() -> None:
    level = os.environ.get("LOG_LEVEL", "WARNING").upper()
    if level not in logging.getLevelNamesMapping():
        raise ValueError(f"LOG_LEVEL: there is no level {level!r}; take WARNING, INFO or DEBUG")
    logging.basicConfig(
        level=level,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
