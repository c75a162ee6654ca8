"""A small pack with a kind of its own, `custom:token_ceiling`."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.adapters.packs.samples import FILES, rule

REGO = """\
# How long a request may be.
package govgate.custom.token_ceiling

default matched := null

matched := {"tokens": input.context.request.tokens, "most": input.params.most} if {
	input.context.request.tokens > input.params.most
}
"""
TESTS = """\
package govgate.custom.token_ceiling_test

import data.govgate.custom.token_ceiling

asked(tokens) := {"context": {"request": {"tokens": tokens}}, "params": {"most": 4000}}

test_a_long_request_is_found if {
	token_ceiling.matched == {"tokens": 4001, "most": 4000} with input as asked(4001)
}

test_a_short_one_is_not if {
	token_ceiling.matched == null with input as asked(4000)
}
"""
SCHEMA = json.dumps({
    "type": "object", "additionalProperties": False, "required": ["most"],
    "properties": {"most": {"type": "integer", "minimum": 1}},
})  # fmt: skip
ADMIT = rule("model_access", params={"models": ["*"]}) | {"id": "admit"}


def ceiling(most: int = 4000, **more: Any) -> dict[str, Any]:
    """A rule of the kind."""
    told = {"params": {"most": most}, "on_match": "deny", **more}
    return rule("custom:token_ceiling", **told) | {"id": "tokens.ceiling"}


def pack_of(rego: str = REGO, *, tests: str | None = TESTS, **more: Any) -> dict[str, str]:
    """The files of the pack."""
    beside = {} if tests is None else {"rego/token_ceiling_test.rego": tests}
    return {
        "pack.yaml": FILES["pack.yaml"],
        "rules/admit.yaml": json.dumps(ADMIT),
        "rules/tokens.yaml": json.dumps(ceiling(**more)),
        "rego/token_ceiling.rego": rego,
        "schemas/token_ceiling.json": SCHEMA,
        **beside,
    }
