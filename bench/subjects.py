"""What is measured, and how each is started: one process, on loopback, before the same upstream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers"
_BENCH = ROOT / "bench"
_LITELLM = PEERS / "litellm/bin/litellm"
_PORTKEY = PEERS / "portkey/node_modules/@portkey-ai/gateway"


@dataclass(frozen=True)
class Place:
    """Where a subject runs: a directory of its own, its port, and the upstream's port."""

    directory: Path
    port: int
    upstream: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.upstream}/v1"


@dataclass(frozen=True)
class Launch:
    """How to start a subject, and the headers its callers send."""

    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """One row of the table. `launch` is None for the direct call, which passes no gateway."""

    name: str
    title: str
    governance: str
    launch: Callable[[Place], Launch] | None = None
    masks: bool = False
    """It hides personal data from the upstream and puts it back; the bench checks both."""
    records: bool = False
    """It keeps a durable record of each exchange; the bench counts them."""
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot be measured here; None when it can."""


def clean_env(directory: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """An environment that holds nothing of the caller's but the PATH."""
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8", **extra}


def _floor(place: Place) -> Launch:
    argv = [sys.executable, "-m", "bench.floor", str(place.port), str(place.upstream)]
    return Launch(argv, {"PYTHONPATH": str(ROOT)})


def _govgate(pack: Path, *, inspects: bool) -> Callable[[Place], Launch]:
    def launch(place: Place) -> Launch:
        env = {
            "GOVGATE_DATA_DIR": str(place.directory),
            "GOVGATE_POLICY__PACK": str(pack),
            "GOVGATE_INSPECTION__ENABLED": json.dumps(inspects),
            "GOVGATE_UPSTREAM__BASE_URL": place.base_url,
            "GOVGATE_UPSTREAM__API_KEY": "bench",
            "GOVGATE_REPLAY__ENABLED": "false",
        }
        argv = [govgate(), "serve", "--host", "127.0.0.1", "--port", str(place.port)]
        return Launch(argv, env, {"authorization": f"Bearer {_key(place, env)}"})

    return launch


def govgate() -> str:
    """The command, beside the Python that runs the bench."""
    return str(Path(sys.executable).with_name("govgate"))


def _key(place: Place, env: dict[str, str]) -> str:
    """The API key of this place; made the first time."""
    kept = place.directory / "api-key"
    if not kept.exists():
        made = subprocess.run(
            [govgate(), "keys", "create", "--app", "bench", "--json"],
            env=clean_env(place.directory, env),
            cwd=place.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"no API key could be made: {made.stderr[-800:]}")
        kept.write_text(json.loads(made.stdout)["key"])
    return kept.read_text()


def _litellm(place: Place) -> Launch:
    config = _BENCH / "peers/litellm"
    argv = [
        *(str(_LITELLM), "--host", "127.0.0.1", "--port", str(place.port)),
        *("--num_workers", "1", "--telemetry", "False"),
        *("--config", str(config / "config.yaml"), "--log_config", str(config / "log.json")),
    ]
    env = {
        "BENCH_UPSTREAM": place.base_url,
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    return Launch(argv, env)


def _portkey(place: Place) -> Launch:
    argv = ["node", str(_PORTKEY / "build/start-server.js"), f"--port={place.port}", "--headless"]
    headers = {
        "authorization": "Bearer bench",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": place.base_url,
    }
    return Launch(argv, {"NODE_ENV": "production"}, headers)


def _needs(path: Path | str, fix: str) -> Callable[[], str | None]:
    return lambda: None if Path(path).exists() else fix


_SUBJECTS = (
    Subject("direct", "direct call to the upstream", "none"),
    Subject("floor", "bare pass-through (raw ASGI, uvicorn, aiohttp)", "none", _floor),
    Subject(
        "passthrough",
        "Govgate, pass-through",
        "key, policy that admits, durable record",
        _govgate(_BENCH / "packs/open", inspects=False),
        records=True,
        missing=_needs(govgate(), "run `make setup`"),
    ),
    Subject(
        "governed",
        "**Govgate, governed**",
        "key, mask and restore, policy, durable record of prompt and answer",
        _govgate(_BENCH / "packs/masked", inspects=True),
        masks=True,
        records=True,
        missing=_needs(govgate(), "run `make setup`"),
    ),
    Subject(
        "baseline",
        "Govgate, governed as shipped",
        "as governed, and the answer screened for personal data and banned phrases",
        _govgate(ROOT / "policies/packs/baseline", inspects=True),
        masks=True,
        records=True,
        missing=_needs(govgate(), "run `make setup`"),
    ),
    Subject(
        "litellm",
        "LiteLLM proxy",
        "none",
        _litellm,
        missing=_needs(_LITELLM, "run `make bench-peers`"),
    ),
    Subject(
        "portkey",
        "Portkey gateway",
        "none",
        _portkey,
        missing=_needs(_PORTKEY, "run `make bench-peers`"),
    ),
)
SUBJECTS = {subject.name: subject for subject in _SUBJECTS}
