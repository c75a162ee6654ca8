"""A real gateway in a process of its own, on real services, for tests over the wire."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.keyring import Keyring
from gateway.adapters.packs import load_pack, read_folder
from gateway.adapters.store.records import SqlRecords, StoredEntry
from gateway.settings import baseline_pack
from tests.contracts.policy_server import PolicyServer, opa_binary
from tests.databases import Cluster

ROOT = Path(__file__).parent.parent
STARTING = 120.0  # seconds; a bound for a broken start, not a measure


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once `url` answers 200; raise when the process ends or takes too long."""
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode} before it answered")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {STARTING} s")


@dataclass
class Upstream:
    """An OpenAI-compatible server in a process of its own, which keeps a log."""

    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls) -> Upstream:
        port = free_port()
        command = [sys.executable, "-m", "gateway.adapters.providers.replay_server"]
        process = subprocess.Popen([*command, "--port", str(port)], cwd=ROOT)
        wait_for(f"http://127.0.0.1:{port}/v1/models", process)
        return cls(port, process)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def log(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_log", timeout=5) as answer:
            said: dict[str, Any] = json.load(answer)
            return said

    def forget(self) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_log", method="DELETE")
        urllib.request.urlopen(request, timeout=5).close()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class House:
    """A gateway that serves, and what stands behind it."""

    folder: Path
    database_url: str
    env: dict[str, str]
    upstream: Upstream | None = None
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    prefix: tuple[str, ...] = ()
    """What the gateway's commands are run by, such as `nsenter`."""
    module: str = "gateway"
    """What serves: `govgate`, or a program of the tests that is the same but for one thing."""
    output: Path | None = None
    """Where the server's output goes; None is that of the tests."""
    _keys: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A `govgate` command on this gateway's settings."""
        return subprocess.run(
            [*self.prefix, sys.executable, "-m", "gateway", *arguments],
            cwd=ROOT, env=self.env, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def start(self) -> None:
        """Serve, on a port of its own; return once it is ready."""
        process = self.launch()
        wait_for(f"http://127.0.0.1:{self.port}/readyz", process)

    def launch(self) -> subprocess.Popen[bytes]:
        """Begin to serve; the process, which is not ready yet."""
        self.port = self.port or free_port()
        serve = [sys.executable, "-m", self.module, "serve", "--port", str(self.port)]
        command = [*self.prefix, *serve]
        with ExitStack() as files:
            to = None if self.output is None else files.enter_context(self.output.open("ab"))
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=to, stderr=to)
        return self.process

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=STARTING)
            self.process = None

    def key(self, *options: str) -> str:
        """A key made with these options; the same options give the same key."""
        name = " ".join(options)
        if name not in self._keys:
            made = self.run("keys", "create", "--app", "test", "--json", *options)
            assert made.returncode == 0, made.stderr
            self._keys[name] = json.loads(made.stdout)["key"]
        return self._keys[name]

    def record(self, exchange_id: str) -> Sequence[StoredEntry]:
        """The entries of an exchange, decrypted."""
        keyring = Keyring.open(self.folder / "keyring.json", None)

        async def read() -> Sequence[StoredEntry]:
            records = SqlRecords(self.database_url, keyring)
            try:
                return await records.read_exchange(exchange_id)
            finally:
                await records.stop()

        return asyncio.run(read())

    def facts(self, exchange_id: str) -> dict[str, Any]:
        """The facts of all its entries, the later over the earlier."""
        facts: dict[str, Any] = {}
        for entry in self.record(exchange_id):
            facts |= entry.header["facts"]
        return facts


def settings_of(folder: Path, database_url: str, **more: str) -> dict[str, str]:
    """An environment for a gateway, without anything of the developer's own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GOVGATE_")}
    return {
        **own,
        "GOVGATE_DATA_DIR": str(folder),
        "GOVGATE_DATABASE__URL": database_url,
        "PYTHONPATH": str(ROOT),
        **more,
    }


def embedded(folder: Path, **more: str) -> House:
    """A gateway on SQLite and the in-process engine, not started."""
    url = f"sqlite:///{folder / 'govgate.db'}"
    return House(folder, url, settings_of(folder, url, **more))


def production(folder: Path, database_url: str, opa_url: str, **more: str) -> House:
    """A gateway on PostgreSQL and an OPA server, not started."""
    asking = {"GOVGATE_POLICY__ENGINE": "opa", "GOVGATE_POLICY__OPA_URL": opa_url}
    return House(folder, database_url, settings_of(folder, database_url, **asking, **more))


def behind(upstream: Upstream) -> Mapping[str, str]:
    """The settings that put `upstream` behind a gateway."""
    return {
        "GOVGATE_UPSTREAM__NAME": "other",
        "GOVGATE_UPSTREAM__BASE_URL": upstream.base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
    }


MODEL = "model-x"
"""A model of `upstream` that has a price."""
DOLLARS = ("1.00", "2.00")
"""What it costs for a million tokens, read and said."""
PRICED = {"GOVGATE_PRICES__OVERRIDES": json.dumps({MODEL: DOLLARS})}


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """A provider of our own behind real sockets."""
    server = Upstream.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[House]:
    """A running gateway with the embedded defaults, in front of `upstream`."""
    house = embedded(tmp_path_factory.mktemp("house"), **behind(upstream))
    house.upstream = upstream
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="session")
def plain_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running gateway with the embedded defaults and nothing else: only replay behind it."""
    house = embedded(tmp_path_factory.mktemp("plain"))
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="session")
def baseline_server() -> Iterator[PolicyServer]:
    """A real OPA server with the baseline pack."""
    server = PolicyServer(opa_binary())
    server.publish_pack(load_pack(read_folder(baseline_pack())).data)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def embedded_house(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[House]:
    """A running gateway of the embedded column, with a price for `MODEL` of `upstream`."""
    house = embedded(tmp_path_factory.mktemp("embedded"), **behind(upstream), **PRICED)
    house.upstream = upstream
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="session")
def production_house(
    tmp_path_factory: pytest.TempPathFactory,
    cluster: Cluster,
    baseline_server: PolicyServer,
    upstream: Upstream,
) -> Iterator[House]:
    """The same in the production column: PostgreSQL, and a real OPA server."""
    folder = tmp_path_factory.mktemp("production")
    house = production(folder, cluster.create(), baseline_server.url, **behind(upstream), **PRICED)
    house.upstream = upstream
    house.start()
    yield house
    house.stop()


@pytest.fixture(params=["embedded", "production"])
def column(request: pytest.FixtureRequest) -> House:
    """A running gateway; the test runs once in each column."""
    house: House = request.getfixturevalue(f"{request.param}_house")
    return house
