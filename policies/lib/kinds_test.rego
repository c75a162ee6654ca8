# Rules of kinds that the library does not know.
package govgate_test

import data.govgate

unheard_of := {"revision": "sha256:test", "exceptions": {}, "rules": object.union(
	pack({}).rules,
	{"clairvoyance": {"see": rule("clairvoyance", {})}},
)}

test_a_kind_that_is_unknown_is_refused if {
	decision := govgate.decision with input as question with data.pack as unheard_of
	decision.effect == "deny"
	decision.reasons[0].code == "rule_kind_unknown"
	decision.reasons[0].facts == {"kinds": ["clairvoyance"]}
}

test_it_is_refused_for_a_tool_call_too if {
	decision := govgate.decision with input as called("search", {}) with data.pack as unheard_of
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["default.kind"]
}

test_kinds_that_are_known_are_not if {
	every kind in govgate.kinds {
		decision := govgate.decision with input as question
			with data.pack as {"rules": object.union(pack({}).rules, {kind: {}}), "exceptions": {}}
		decision.effect == "allow"
	}
}

test_rules_in_another_shape_are_refused if {
	decision := govgate.decision with input as question with data.pack as {"rules": [1], "exceptions": {}}
	decision.effect == "deny"
	decision.reasons[0].facts == {"kinds": [0]}
}
