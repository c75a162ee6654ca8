"""What is measured of decisions: every sort, so many of each, by questions that differ."""

from __future__ import annotations

import orjson

from bench.policies import WANTED, everywhere, questions
from gateway.adapters.packs import compose, load_pack, read_folder, well_formed
from gateway.settings import baseline_pack
from tests.contracts.policy_server import opa_binary


def test_questions_are_well_formed_and_differ() -> None:
    asked = questions()
    known = well_formed()
    assert all(known(each) for each in asked)
    assert len({orjson.dumps(each) for each in asked}) > 100
    assert questions() == asked


async def test_every_sort_is_measured() -> None:
    rules = compose([load_pack(read_folder(baseline_pack()))])
    found = await everywhere(rules, opa_binary(), 20)
    assert found.keys() == WANTED.keys()
    assert all(len(took) == 20 and min(took) > 0 for took in found.values())
    assert (await everywhere(rules, None, 1)).keys() == {"in process", "remembered"}
