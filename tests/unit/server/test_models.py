"""The list of models: what a key may ask for, and no word of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.catalogue import Serves, StaticCatalogue
from gateway.core.errors import Code, Denied, Malformed
from gateway.core.ports import Model
from gateway.core.principal import Principal
from gateway.server.callers import Callers
from gateway.server.models import Models
from tests.fakes.keys import FakeKeys

CATALOGUE = StaticCatalogue(
    [Model("gpt-a", "openai", "gpt-a"), Model("local", "replay", "r-1")],
    [Serves("gpt-*", Model("*", "openai", "*"))],
    lambda model: None,
)


def models(**key: Any) -> Models:
    keys = FakeKeys({"k": Principal("acme", "t", "a", "k1", **key)})
    return Models(Callers(keys), CATALOGUE)


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


ANTHROPIC = {**BEARER, "anthropic-version": "2023-06-01"}


class TestAnthropicsShape:
    """C12."""

    async def test_c12_they_are_listed_so_when_asked_for_with_a_version(self) -> None:
        listed = await models().listed(ANTHROPIC)
        assert listed == {
            "data": [
                {"type": "model", "id": "gpt-a", "display_name": "gpt-a",
                 "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"},
                {"type": "model", "id": "local", "display_name": "local",
                 "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"},
            ],
            "has_more": False, "first_id": "gpt-a", "last_id": "local",
        }  # fmt: skip
        assert (await models().one(ANTHROPIC, "local"))["type"] == "model"

    async def test_c12_a_key_sees_only_what_it_may_use(self) -> None:
        listed = await models(models=("local",)).listed(ANTHROPIC)
        assert [model["id"] for model in listed["data"]] == ["local"]
        nothing = await models(models=()).listed(ANTHROPIC)
        assert nothing == {"data": [], "has_more": False, "first_id": None, "last_id": None}


MANY = StaticCatalogue(
    [Model(f"m{number:02}", "replay", "r") for number in range(45)], [], lambda model: None
)


class TestPages:
    """C12: whichever way one goes, every model is seen once, in order."""

    many = Models(Callers(FakeKeys({"k": Principal("acme", "t", "a", "k1")})), MANY)
    ALL = tuple(model.id for model in MANY.models())

    @pytest.mark.parametrize("limit", [1, 7, 20, 44, 45, 46, 1_000])
    @pytest.mark.parametrize(("headers", "after"), [(ANTHROPIC, "after_id"), (BEARER, "after")])
    async def test_c12_forwards(self, headers: dict[str, str], after: str, limit: int) -> None:
        seen: list[str] = []
        query = {"limit": str(limit)}
        while True:
            page = await self.many.listed(headers, query)
            seen += [model["id"] for model in page["data"]]
            assert len(page["data"]) <= limit
            if not page["has_more"]:
                break
            query = {"limit": str(limit), after: page["last_id"]}
        assert tuple(seen) == self.ALL

    @pytest.mark.parametrize("limit", [1, 7, 44, 45])
    async def test_c12_backwards(self, limit: int) -> None:
        seen = [self.ALL[-1]]
        query = {"limit": str(limit), "before_id": seen[0]}
        while True:
            page = await self.many.listed(ANTHROPIC, query)
            seen = [model["id"] for model in page["data"]] + seen
            if not page["has_more"]:
                break
            query["before_id"] = page["first_id"]
        assert tuple(seen) == self.ALL

    async def test_c12_anthropics_pages_are_twenty_long(self) -> None:
        page = await self.many.listed(ANTHROPIC)
        assert (len(page["data"]), page["has_more"]) == (20, True)

    async def test_openais_list_is_whole_unless_a_page_is_asked_for(self) -> None:
        listed = await self.many.listed(BEARER, {"unknown": "1"})
        assert set(listed) == {"object", "data"}
        assert len(listed["data"]) == 45

    @pytest.mark.parametrize(
        "query",
        [{"limit": "0"}, {"limit": "1001"}, {"limit": "-1"}, {"limit": "x"}, {"limit": ""},
         {"limit": "²"}, {"limit": "9" * 5_000}, {"after_id": "nobody"}, {"before_id": ""},
         {"after_id": "m01", "before_id": "m05"}],
        ids=lambda query: str(query)[:30],
    )  # fmt: skip
    async def test_c12_a_page_that_cannot_be_is_refused(self, query: dict[str, str]) -> None:
        with pytest.raises(Malformed):
            await self.many.listed(ANTHROPIC, query)
