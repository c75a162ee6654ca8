"""The list of models: what a key may ask for, and no word of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.catalogue import Serves, StaticCatalogue
from gateway.core.errors import Code, Denied
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.server.models import Models
from tests.fakes.keys import FakeKeys

CATALOGUE = StaticCatalogue(
    [Model("gpt-a", "openai", "gpt-a"), Model("local", "replay", "r-1")],
    [Serves("gpt-*", Model("*", "openai", "*"))],
    lambda model: None,
)


def models(**key: Any) -> Models:
    return Models(FakeKeys({"k": Principal("acme", "t", "a", "k1", **key)}), CATALOGUE)


BEARER = {"authorization": "Bearer k"}


async def test_they_are_listed_in_openais_shape() -> None:
    assert await models().listed(BEARER) == {
        "object": "list",
        "data": [
            {"id": "gpt-a", "object": "model", "created": 0, "owned_by": "openai"},
            {"id": "local", "object": "model", "created": 0, "owned_by": "replay"},
        ],
    }


async def test_a_key_sees_only_what_it_may_use() -> None:
    listed = await models(models=("gpt-*",)).listed(BEARER)
    assert [model["id"] for model in listed["data"]] == ["gpt-a"]


async def test_one_that_is_passed_on_may_be_looked_up() -> None:
    assert (await models().one(BEARER, "gpt-new"))["owned_by"] == "openai"


async def test_unknown_and_not_allowed_look_alike() -> None:
    said = []
    for key, name in ((models(), "other"), (models(models=("gpt-*",)), "local")):
        with pytest.raises(Denied) as refused:
            await key.one(BEARER, name)
        assert (refused.value.code, refused.value.param) == (Code.MODEL_NOT_FOUND, "model")
        said.append(refused.value.message.replace(name, "x"))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic k"}], ids=str
)
async def test_strangers_learn_nothing(headers: dict[str, str]) -> None:
    for asked in (models().listed(headers), models().one(headers, "gpt-a")):
        with pytest.raises(Denied) as refused:
            await asked
        assert refused.value.code is Code.INVALID_API_KEY


@pytest.mark.parametrize(
    ("scopes", "may"), [(("models.list",), True), (("*",), True), (("chat.*",), False)]
)
async def test_listing_is_an_action_that_a_scope_covers(scopes: tuple[str, ...], may: bool) -> None:
    if may:
        assert (await models(scopes=scopes).listed(BEARER))["data"]
        return
    with pytest.raises(Denied) as refused:
        await models(scopes=scopes).listed(BEARER)
    assert refused.value.code is Code.INSUFFICIENT_SCOPE
