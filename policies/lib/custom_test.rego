# Rules of kinds that packs bring.
package govgate_test

import data.govgate

ceiling(most, more) := pack({"custom:sample": {"small": rule("custom:sample", object.union(
	{"module": "sample", "params": {"most": most}, "on_match": "deny"},
	more,
))}})

test_what_matches_is_refused_with_its_facts if {
	decision := govgate.decision with input as question with data.pack as ceiling(10, {})
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["small"]
	decision.reasons[0].facts == {"tokens": 12, "most": 10}
}

test_or_held if {
	decision := govgate.decision with input as question
		with data.pack as ceiling(10, {"on_match": "review"})
	decision.effect == "review"
	rule_ids(decision.reasons) == ["small"]
}

test_or_only_observed if {
	decision := govgate.decision with input as question with data.pack as ceiling(10, {"mode": "observe"})
	decision.effect == "allow"
	decision.observed == [{"rule": "small", "would": "deny"}]
}

test_what_does_not_match_passes if {
	decision := govgate.decision with input as question with data.pack as ceiling(13, {})
	decision.effect == "allow"
	rule_ids(decision.reasons) == ["admit"]
}

test_each_rule_has_its_own_params if {
	both := pack({"custom:sample": {
		"small": rule("custom:sample", {"module": "sample", "params": {"most": 10}, "on_match": "deny"}),
		"large": rule("custom:sample", {"module": "sample", "params": {"most": 100}, "on_match": "deny"}),
	}})
	decision := govgate.decision with input as question with data.pack as both
	rule_ids(decision.reasons) == ["small"]
}

test_a_rule_without_an_answer_refuses if {
	decision := govgate.decision with input as question with data.pack as ceiling(12, {"on_match": "review"})
	decision.effect == "deny"
	decision.reasons[0].facts == {"unanswered": "custom:sample"}
}

test_so_does_one_with_another_answer if {
	decision := govgate.decision with input as question with data.pack as ceiling("odd", {})
	decision.effect == "deny"
	decision.reasons[0].facts == {"unanswered": "custom:sample"}
}

test_so_does_one_whose_module_is_not_there if {
	some more in [{"module": "elsewhere"}, {"module": null}]
	decision := govgate.decision with input as question with data.pack as ceiling(100, more)
	decision.effect == "deny"
	decision.reasons[0].facts == {"unanswered": "custom:sample"}
}

test_a_tool_call_may_be_refused if {
	decision := govgate.decision with input as called("search", {}) with data.pack as ceiling(10, {})
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["small"]
}

test_an_exception_sets_it_aside if {
	waived := object.union(ceiling(10, {}), {"exceptions": {"small": {"x": {"until": null, "when": {}}}}})
	decision := govgate.decision with input as question with data.pack as waived
	decision.effect == "allow"
	decision.overridden == [{"rule": "small", "by": "x"}]
}
