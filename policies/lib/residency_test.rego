# Where a request may be answered.
package govgate_test

import data.govgate

stays(params) := rule("residency", {"params": object.union(
	{
		"labels": null, "min_score": 0.5,
		"hosting": null, "region": null, "providers": null, "tags": null,
	},
	params,
)})

moved(rules, facts) := duty(decided_with({"residency": rules}, facts), "reroute")

test_a_request_stays_where_a_rule_says if {
	every params in [
		{"hosting": ["internal"]}, {"region": ["ch", "eu"]}, {"providers": ["own"]},
		{"tags": ["audited", "cheap"]}, {"hosting": ["internal"], "region": ["eu"]},
	] {
		moved({"home": stays(params)}, {}) == {"id": "reroute", "params": params, "rule": "home"}
	}
}

test_it_is_told_what_was_found if {
	rules := {"residency": {"home": stays({"labels": ["EMAIL", "image"], "hosting": ["internal"]})}}
	decision := decided_with(rules, {"findings": [finding("pii", "EMAIL"), finding("opaque", "image")]})
	decision.effect == "allow"
	[reason] := [entry | some entry in decision.reasons; entry.rule == "home"]
	reason.facts == {"count": 2, "labels": {"EMAIL": 1, "image": 1}}
	duty(decision, "reroute").params == {"hosting": ["internal"]}
}

test_where_nothing_of_it_was_found_it_may_go_anywhere if {
	rules := {"residency": {"home": stays({"labels": ["EMAIL"], "hosting": ["internal"]})}}
	every found in [
		[], [finding("pii", "PHONE")], [said("pii", "EMAIL")],
		[object.union(finding("pii", "EMAIL"), {"score": 0.4})],
	] {
		decided_with(rules, {"findings": found}).obligations == []
	}
}

test_two_rules_leave_what_both_admit if {
	both := moved(
		{
			"a": stays({"hosting": ["internal", "external"], "tags": ["x"]}),
			"b": stays({"hosting": ["internal"], "region": ["eu"], "tags": ["w", "x"]}),
		},
		{},
	)
	both.params == {"hosting": ["internal"], "region": ["eu"], "tags": ["w", "x"]}
	both.rule == "a,b"
}

test_rules_that_exclude_each_other_leave_nothing if {
	both := moved({"a": stays({"region": ["eu"]}), "b": stays({"region": ["us"]})}, {})
	both.params == {"region": []}
}

test_a_tool_call_stays_where_it_is if {
	decision := govgate.decision with data.pack as pack({"residency": {"a": stays({"region": ["eu"]})}})
		with input as called("mail", {})
	decision.obligations == []
}
