"""Serving: what the operator is told when it begins."""

from __future__ import annotations

from typing import Any

import pytest
import uvicorn

from gateway.running import Telling


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody calls")


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
async def test_it_says_where_it_serves_once_it_does(
    host: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = uvicorn.Config(nothing, host=host, port=0, lifespan="off", log_config=None)
    config.load()
    server = Telling(config)
    server.lifespan = config.lifespan_class(config)
    assert capsys.readouterr().err == ""
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    assert capsys.readouterr().err == f"serving on http://{shown}:{port}\n"
    await server.shutdown()
