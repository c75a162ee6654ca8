"""The callers that the tests play, and a house with rules of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.callers import PACK, Caller, caller, make_key
from tests.clients.canned import Canned
from tests.clients.vendors import Vendors
from tests.houses import House, behind, embedded


@pytest.fixture(scope="session")
def key(house: House) -> str:
    """A key of the house with the baseline pack."""
    return make_key(house)[0]


@pytest.fixture
def client(house: House, key: str) -> Iterator[Caller]:
    """The official client, under the baseline pack; its upstream has forgotten the past."""
    assert house.upstream is not None
    house.upstream.forget()
    with caller(house, key) as made:
        yield made


@pytest.fixture(scope="session")
def canned() -> Iterator[Canned]:
    server = Canned()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def open_house(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    """A gateway whose rules rewrite nothing, before `canned`; the app `cached` is cached."""
    settings = {
        "GOVGATE_POLICY__PACK": str(PACK),
        "GOVGATE_UPSTREAM__BASE_URL": canned.base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
    }
    house = embedded(tmp_path_factory.mktemp("open"), **settings)
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="session")
def open_key(open_house: House) -> str:
    return make_key(open_house)[0]


@pytest.fixture
def open_client(open_house: House, open_key: str) -> Iterator[Caller]:
    """The official client where no rule rewrites anything."""
    with caller(open_house, open_key) as made:
        yield made


@pytest.fixture(scope="session")
def vendors() -> Iterator[Vendors]:
    server = Vendors.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def fleet_house(tmp_path_factory: pytest.TempPathFactory, vendors: Vendors) -> Iterator[House]:
    """A running gateway with the baseline pack, whose upstream speaks more than chat; for its rate
    limits no time passes."""
    house = embedded(tmp_path_factory.mktemp("fleet"), **behind(vendors))
    house.upstream, house.module = vendors, "tests.clients.still"
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="session")
def fleet_key(fleet_house: House) -> str:
    return make_key(fleet_house)[0]
