"""A routes file: what it says, and what is said of one that cannot be used, with its lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.adapters.packs.documents import read
from gateway.adapters.routing.health import Breaker
from gateway.adapters.routing.routes import Routes, RoutesError, reveal, routes_of
from gateway.adapters.routing.traffic import Watch
from gateway.core.file_shape import Secret
from gateway.core.money import Price
from gateway.core.ports import Choice, Group, Model, Strategy

FULL = """\
providers:
  - name: eu
    kind: azure
    base_url: https://eu.example.org
    api_key: {stored: azure-eu}
    api_version: "2024-10-21"
    headers: {x-team: gateway}
    hosting: sovereign
    region: eu
    tags: [audited]
    timeouts: {connect: 1, first_byte: 2.5}
    max_concurrency: 7
    max_wait_seconds: 0
    breaker: {failures: 2, open_seconds: 9, rest_seconds: 3}
  - name: house
    kind: openai
    base_url: http://127.0.0.1:8000/v1
    allow_private: true
  - {name: made-up, kind: replay}
models:
  - name: smart
    strategy: weighted
    sticky: session
    retry_billed: true
    max_output_tokens: 900
    price: {input: "2.50", output: 10}
    targets:
      - {provider: house, model: llama, order: 1, price: {input: 0, output: 0}}
      - {provider: eu, model: gpt-4o, weight: 3}
  - name: "gpt-*"
    listed: false
    targets:
      - {provider: eu}
      - {provider: house, model: llama}
  - name: plain
    targets: [{provider: made-up, model: replay}]
"""


def routes(text: str, folder: Path) -> Routes:
    path = folder / "routes.yaml"
    path.write_text(text)
    [document] = read(path, path.name)
    return routes_of(document)


def test_everything_that_a_file_can_say(tmp_path: Path) -> None:
    found = routes(FULL, tmp_path)
    smart, plain = found.named
    eu = Model("smart", "eu", "gpt-4o", hosting="sovereign", region="eu", tags=("audited",),
               price=Price(2_500_000, 10_000_000, "route 2.50/10"), max_output_tokens=900,
               retry_billed=True)  # fmt: skip
    house = Model("smart", "house", "llama", price=Price(0, 0, "route 0/0"),
                  max_output_tokens=900, retry_billed=True)  # fmt: skip
    choices = (Choice(house, 1, 1), Choice(eu, 3, 0))
    assert smart.group == Group(choices, Strategy.WEIGHTED, sticky=True)
    assert (smart.id, smart.upstream, smart.price) == ("smart", "eu", eu.price)
    assert plain == Model("plain", "made-up", "replay", hosting="local")
    [(pattern, like)] = found.patterns
    assert (pattern, like.upstream_model) == ("gpt-*", "*")
    assert found.unlisted == {"gpt-*"}
    assert found.watches() == {
        "eu": Watch(Breaker(2, 9, 3), 7, 0),
        "house": Watch(Breaker()),
        "made-up": Watch(Breaker()),
    }
    assert found.price_list() == {"eu": "azure", "house": "house", "made-up": "replay"}


PROVIDERS = "providers: [{name: p, kind: replay}]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("providers: []\n", "routes.yaml:1: models: Field required"),
        (f"{PROVIDERS}models: []\nmore: 1\n", "routes.yaml:3: more: there is no such member"),
        (
            f"{PROVIDERS}models:\n  - name: m\n    targets:\n      - {{provider: q}}\n",
            "routes.yaml:5: models.0.targets.0.provider: there is no provider 'q'",
        ),
        (
            "providers:\n  - {name: p, kind: replay}\n  - {name: p, kind: replay}\nmodels: []\n",
            "routes.yaml:3: providers.1.name: 'p' is there twice",
        ),
        (
            f"{PROVIDERS}models:\n  - {{name: m, targets: [{{provider: p}}]}}\n"
            "  - {name: m, targets: [{provider: p}]}\n",
            "routes.yaml:4: models.1.name: 'm' is there twice",
        ),
        (f"{PROVIDERS}models: [{{name: m, targets: []}}]\n", "at least 1 item"),
        (
            f"{PROVIDERS}models: [{{name: m, targets: [{{provider: p}}, {{provider: p}}]}}]\n",
            "a target is there twice",
        ),
        (
            f"{PROVIDERS}models: [{{name: m, sticky: session, targets: [{{provider: p}}]}}]\n",
            "sticky sessions go with the weighted strategy",
        ),
        (
            f"{PROVIDERS}models: [{{name: m, targets: [{{provider: p, weight: 0}}]}}]\n",
            "routes.yaml:2: models.0.targets.0.weight",
        ),
        (
            f"{PROVIDERS}models:\n  - name: m\n    targets: [{{provider: p}}]\n"
            "    price: {input: x, output: 1}\n",
            "routes.yaml:5: models.0.price: not an amount of dollars",
        ),
        (
            f"{PROVIDERS}models: [{{name: m, targets: [{{provider: p}}], "
            "price: {input: -1, output: 1}}]\n",
            "a price is not negative",
        ),
        ("providers: [{name: p, kind: azure}]\nmodels: []\n", "azure needs base_url"),
        ("providers: [{name: p, kind: bedrock}]\nmodels: []\n", "bedrock needs region"),
        ("providers: [{name: p, kind: gpt}]\nmodels: []\n", "providers.0.kind"),
        (
            "providers: [{name: p, kind: replay, base_url: 'http://x'}]\nmodels: []\n",
            "replay has no base_url",
        ),
        ("providers: [{name: 'a b', kind: replay}]\nmodels: []\n", "providers.0.name"),
        (
            "providers:\n  - name: p\n    kind: openai\n    headers: {Authorization: x}\n"
            "models: []\n",
            "routes.yaml:4: providers.0.headers: 'Authorization' is built by the gateway",
        ),
        (
            'providers: [{name: p, kind: openai, headers: {x-a: "a\\nb"}}]\nmodels: []\n',
            "is not plain text",
        ),
        ("- 1\n", "routes.yaml:1"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RoutesError) as wrong:
        routes(text, tmp_path)
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    "key",
    ["sk-canary-1", "{env: A, file: sk-canary-1}", "{}", "{key: sk-canary-1}", "[sk-canary-1]"],
)
def test_a_key_in_the_file_itself_is_refused_and_not_repeated(key: str, tmp_path: Path) -> None:
    text = f"providers:\n  - name: p\n    kind: openai\n    api_key: {key}\nmodels: []\n"
    with pytest.raises(RoutesError) as wrong:
        routes(text, tmp_path)
    assert "routes.yaml:4" in str(wrong.value)
    assert "canary" not in str(wrong.value)


class TestReveal:
    def reveal(self, environment: dict[str, str] | None = None, **secret: Any) -> str:
        held = {"mine": SecretStr("stored")}
        return reveal(Secret(**secret), environment or {}, held.get).get_secret_value()

    def test_each_place(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(" from file\n")
        assert self.reveal({"KEY": "from env"}, env="KEY") == "from env"
        assert self.reveal(file=str(tmp_path / "key")) == "from file"
        assert self.reveal(stored="mine") == "stored"

    def test_places_where_there_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        for secret in (
            {"env": "KEY"},
            {"file": str(tmp_path / "nowhere")},
            {"file": str(tmp_path / "empty")},
            {"stored": "other"},
        ):
            with pytest.raises(RoutesError):
                self.reveal(**secret)
