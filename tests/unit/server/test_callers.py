"""Who asks the control plane, and where a credential may stand."""

from __future__ import annotations

import pytest

from gateway.core.errors import Code, Denied
from gateway.core.principal import Principal
from gateway.server.callers import Callers, credential_of
from tests.fakes.keys import FakeKeys

ANN = Principal("acme", "t", "a", "k1", scopes=("models.*",))


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({}, None),
        ({"authorization": "Bearer gg_k"}, "gg_k"),
        ({"authorization": "bearer   gg_k "}, "gg_k"),
        ({"authorization": "Bearer"}, None),
        ({"authorization": "Bearer "}, None),
        ({"authorization": "Basic gg_k"}, None),
        ({"x-api-key": "gg_k"}, "gg_k"),
        ({"api-key": "gg_k"}, "gg_k"),
        ({"authorization": "Basic x", "x-api-key": "gg_k"}, "gg_k"),
        ({"authorization": "Bearer a", "x-api-key": "b"}, "a"),
    ],
    ids=str,
)
def test_c33_where_a_key_may_stand(headers: dict[str, str], credential: str | None) -> None:
    assert credential_of(headers) == credential


@pytest.mark.parametrize(
    ("headers", "action", "code"),
    [
        ({}, "models.list", Code.INVALID_API_KEY),
        ({"x-api-key": "wrong"}, "models.list", Code.INVALID_API_KEY),
        ({"x-api-key": "k"}, "coverage.read", Code.INSUFFICIENT_SCOPE),
    ],
)
async def test_strangers_and_what_is_not_theirs(
    headers: dict[str, str], action: str, code: Code
) -> None:
    with pytest.raises(Denied) as refused:
        await Callers(FakeKeys({"k": ANN})).principal(headers, action)
    assert refused.value.code is code


async def test_who_may_is_known() -> None:
    callers = Callers(FakeKeys({"k": ANN}))
    assert await callers.principal({"api-key": "k"}, "models.list") is ANN
