"""An OPA server of the gateway's own: started, given its bundle, started again when it dies."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from gateway.adapters.opa import bound
from gateway.core.policy_bundles import NAME, FetchBundle

log = logging.getLogger("govgate.opa")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_STEADY = 10.0
"""Seconds after which a server that dies is started again as if it were the first time."""
_ENDING = 3.0
_GARBAGE = "400"
"""How much Go lets pile up: a decision leaves much, and what stays is small."""
_RESOURCE = "/bundle.tar.gz"


class OpaChild:
    """`opa run --server` on a free port of the loopback interface.

    `fetch` answers for its bundle, which it verifies with `public_pem` and asks for again as soon
    as there is another. It ends when `stop` is called and, on Linux, however this process ends.
    Raises `ValueError` when there is no program `binary`, a path or a name on PATH.
    """

    def __init__(self, binary: str, fetch: FetchBundle, public_pem: str) -> None:
        found = shutil.which(binary)
        if found is None:
            raise ValueError(
                f"there is no program {binary!r}: install OPA "
                "(https://www.openpolicyagent.org/docs), or say where it is"
            )
        self._binary = str(Path(found).absolute())  # it runs in a folder of its own
        self._fetch = fetch
        self._public_pem = public_pem
        self._token = secrets.token_urlsafe(32)
        self._port = _free_port()
        self._folder: Path | None = None
        self._bundles: web.AppRunner | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens, also before it does."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Begin. It may take a second until it decides anything."""
        self._folder = Path(tempfile.mkdtemp(prefix="govgate-opa-"))
        service = await self._serve_bundles()
        config = self._folder / "config.json"
        config.touch(0o600)
        config.write_text(json.dumps(self._config(service)))
        self._keeping = asyncio.create_task(self._keep(config))

    async def stop(self) -> None:
        """End it. Safe to call twice, and before `start`."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
        if self._bundles is not None:
            await self._bundles.cleanup()
            self._bundles = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def _keep(self, config: Path) -> None:
        """Have it run, until this is cancelled."""
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                status = await self._run(config)
                log.error("the policy server ended (%s); it is started again", status)
            except OSError as error:
                log.error("the policy server cannot be started: %s", error)
            pause = _FIRST_PAUSE if loop.time() - began > _STEADY else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _run(self, config: Path) -> int:
        """Run it once; the status it ends with."""
        command = [
            self._binary, "run", "--server", "--addr", f"127.0.0.1:{self._port}",
            "--config-file", str(config), "--log-level", "error", "--skip-version-check",
        ]  # fmt: skip
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-IS", bound.__file__, str(os.getpid()), *command,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            env={"HOME": str(config.parent), "GOGC": _GARBAGE}, cwd=config.parent,
            start_new_session=True,  # an interrupt at the terminal is ours to pass on
        )  # fmt: skip
        try:
            return await process.wait()
        finally:
            self._process = None
            if process.returncode is None:
                await _end(process)

    async def _serve_bundles(self) -> str:
        """Serve the bundle to nobody but the child; the URL."""
        app = web.Application()
        app.router.add_get(_RESOURCE, self._answer)
        self._bundles = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._bundles.setup()
        await web.TCPSite(self._bundles, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._bundles.addresses[0][1]}"

    async def _answer(self, request: web.Request) -> web.Response:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return web.Response(status=401)
        answer = await self._fetch({name.lower(): text for name, text in request.headers.items()})
        return web.Response(status=answer.status, headers=dict(answer.headers), body=answer.body)

    def _config(self, service: str) -> dict[str, object]:
        """What OPA reads: https://www.openpolicyagent.org/docs/configuration."""
        return {
            "services": {
                NAME: {"url": service, "credentials": {"bearer": {"token": self._token}}},
            },
            "keys": {NAME: {"algorithm": "RS256", "key": self._public_pem}},
            "bundles": {
                NAME: {
                    "service": NAME,
                    "resource": _RESOURCE,
                    "signing": {"keyid": NAME},
                    "polling": {
                        "min_delay_seconds": 1,
                        "max_delay_seconds": 2,
                        "long_polling_timeout_seconds": 30,
                    },
                },
            },
        }


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end; make it, where it does not."""
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(_ENDING):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
