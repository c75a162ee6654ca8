"""A plain OPA server with the configuration of the how-to, fed by a gateway that asks it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.contracts.policy_server import opa_binary
from tests.houses import ROOT, House, free_port, production, wait_for

HOWTO = ROOT / "docs" / "howto" / "opa-server.md"


def configuration(gateway: int) -> str:
    """The server's configuration as the how-to has it, for a gateway on this port."""
    found = re.search(r"```yaml\n(services:.*?)```", HOWTO.read_text(), re.DOTALL)
    assert found is not None
    return found[1].replace("127.0.0.1:8080", f"127.0.0.1:{gateway}")


@contextmanager
def opa(house: House, folder: Path, port: int, key: str) -> Iterator[None]:
    """OPA, started as the how-to says."""
    (folder / "opa.yaml").write_text(configuration(house.port))
    told = house.run("policy", "bundle-key")
    assert told.returncode == 0, told.stderr
    (folder / "bundle-key.pem").write_text(told.stdout)
    command = [
        opa_binary(), "run", "--server", "--addr", f"127.0.0.1:{port}", "--skip-version-check",
        "--config-file", "opa.yaml", "--set-file", "keys.govgate.key=bundle-key.pem",
    ]  # fmt: skip
    env = {**os.environ, "GOVGATE_ENGINE_KEY": key}
    process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway whose OPA server is not there yet."""
    folder = tmp_path_factory.mktemp("fed")
    url = f"http://127.0.0.1:{free_port()}"
    found = production(folder, f"sqlite:///{folder / 'govgate.db'}", url)
    process = found.launch()
    wait_for(f"http://127.0.0.1:{found.port}/livez", process)
    yield found
    found.stop()


def bundle(house: House, key: str | None, **headers: str) -> httpx.Response:
    bearer = {"authorization": f"Bearer {key}"} if key else {}
    url = f"http://127.0.0.1:{house.port}/api/v1/bundles/govgate"
    return httpx.get(url, headers={**bearer, **headers}, timeout=30)


def ask(house: House, text: str) -> httpx.Response:
    request = {"model": "replay-small", "messages": [{"role": "user", "content": text}]}
    headers = {"authorization": f"Bearer {house.key()}"}
    return httpx.post(f"{house.base_url}/chat/completions", json=request, headers=headers)


def test_it_is_refused_until_the_server_has_its_bundle_and_decided_then(
    house: House, tmp_path: Path
) -> None:
    before = ask(house, "hi")
    assert before.status_code == 503
    assert before.json()["error"]["code"] == "policy_unavailable"
    port = int(house.env["GOVGATE_POLICY__OPA_URL"].rpartition(":")[2])
    with opa(house, tmp_path, port, house.key("--role", "engine")):
        assert house.process is not None
        wait_for(f"http://127.0.0.1:{house.port}/readyz", house.process)
        assert ask(house, "hello").status_code == 200


def test_a_server_with_another_role_is_given_nothing(house: House) -> None:
    for key, status in ((None, 401), (house.key(), 403), (house.key("--role", "admin"), 403)):
        assert bundle(house, key).status_code == status


def test_the_bundle_is_told_apart_by_its_tag(house: House) -> None:
    key = house.key("--role", "engine")
    first = bundle(house, key)
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/vnd.openpolicyagent.bundles"
    again = bundle(house, key, **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert bundle(house, key).content == first.content
