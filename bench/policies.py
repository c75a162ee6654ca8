"""What a decision costs: in process, remembered, and asked of an OPA server on loopback."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import click

from bench.figures import median, percentile
from gateway.adapters.bundle_key import BundleKey
from gateway.adapters.decision_cache import CachedPolicy
from gateway.adapters.opa import OpaChild, OpaServer, OpaServerPolicy, library
from gateway.adapters.opa_wasm import WasmPolicy
from gateway.adapters.packs import Ruleset, compose, engine, load_pack, question_of, read_folder
from gateway.core.ports import Policy
from gateway.governance.policies.bundles import Bundles
from gateway.settings import baseline_pack

WANTED = {"in process": 1.0, "remembered": 0.05, "OPA server": 3.0}
"""The most milliseconds that all but one of a hundred decisions may take."""

_WARM = 500


def questions(count: int = 200) -> Sequence[Mapping[str, Any]]:
    """Questions as applications make them: a few findings, a few tools."""
    dice = Random(5)
    labels = ["EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "PERSON"]
    return [
        question_of(
            {
                "app": f"app-{dice.randrange(20)}",
                "team": dice.choice(["support", "research"]),
                "model": dice.choice(["gpt-4o", "claude", "mistral"]),
                "findings": [
                    {"kind": "pii", "label": label, "score": 0.9}
                    for label in dice.sample(labels, dice.choice([0, 0, 1, 2, 3]))
                ],
                "tools": dice.sample(["search", "shell", "mail"], dice.choice([0, 0, 1, 2])),
            }
        )
        for _ in range(count)
    ]


async def measure(policy: Policy, count: int) -> list[float]:
    """The milliseconds of `count` decisions, one after another."""
    asked = questions()
    for at in range(_WARM):
        await policy.decide(asked[at % len(asked)])
    took = []
    for at in range(count):
        begun = time.perf_counter()
        await policy.decide(asked[at % len(asked)])
        took.append((time.perf_counter() - begun) * 1e3)
    return took


async def everywhere(rules: Ruleset, binary: str | None, count: int) -> dict[str, list[float]]:
    """The milliseconds of decisions, by where they are made."""
    wasm = WasmPolicy(engine().read_bytes(), rules.data, rules.revision)
    found = {
        "in process": await measure(wasm, count),
        "remembered": await measure(CachedPolicy(wasm, rules.reads, rules.instants), count),
    }
    if binary is not None:
        found["OPA server"] = await _served(rules, binary, count)
    return found


async def _served(rules: Ruleset, binary: str, count: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        key = BundleKey.open(Path(folder) / "key")
        bundles = Bundles(library(), key.sign)
        bundles.hold(rules.revision, rules.data)
        child = OpaChild(binary, bundles.answer, key.public_pem)
        server = OpaServer(child.url, timeout=10)
        await child.start()
        try:
            policy = OpaServerPolicy(server, rules.revision)
            await policy.ready(30)
            return await measure(policy, count)
        finally:
            await server.stop()
            await child.stop()


@click.command()
@click.option("--count", default=5_000, show_default=True, help="Decisions of each sort.")
@click.option("--opa", default="opa", show_default=True, help="The OPA program.")
def main(count: int, opa: str) -> None:
    """Measure decisions, and print a table. Exit code 1 where one costs more than it may."""
    rules = compose([load_pack(read_folder(baseline_pack()))])
    binary = shutil.which(opa)
    if binary is None:
        click.echo(f"there is no program {opa!r}: the OPA server is left out", err=True)
    found = asyncio.run(everywhere(rules, binary, count))
    click.echo("| decided | p50 ms | p99 ms | may be |\n|---|---|---|---|")
    for name, took in found.items():
        last = percentile(took, 0.99)
        click.echo(f"| {name} | {median(took):.3f} | {last:.3f} | {WANTED[name]:g} |")
    sys.exit(any(percentile(took, 0.99) > WANTED[name] for name, took in found.items()))


if __name__ == "__main__":
    main()
