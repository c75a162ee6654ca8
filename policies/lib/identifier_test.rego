# How a provider is told whom a request is for.
package govgate_test

import data.govgate

hidden := rule("identifier", {"on_match": "pseudonymise"})

hidden_by(rules, facts) := [entry |
	some entry in decided_with(rules, facts).obligations
	entry.id == "pseudonymise"
]

test_whoever_it_is_gets_a_pseudonym if {
	wanted := [{"id": "pseudonymise", "params": {}, "rule": "a"}]
	hidden_by({"identifier": {"a": hidden}}, {}) == wanted
	hidden_by({"identifier": {"a": hidden}}, {"findings": [finding("pii", "EMAIL")]}) == wanted
}

test_two_rules_are_one_duty if {
	[duty_of_both] := hidden_by({"identifier": {"b": hidden, "a": hidden}}, {})
	duty_of_both.rule == "a,b"
}

test_it_comes_before_what_is_masked if {
	rules := {"identifier": {"a": hidden}, "pii": {"m": mask}}
	found := {"findings": [finding("pii", "EMAIL")]}
	decision := decided_with(rules, found)
	[entry.id | some entry in decision.obligations] == ["pseudonymise", "mask"]
}

test_where_no_rule_wants_it_the_name_stays if {
	elsewhere := object.union(hidden, {"when": {"apps": ["lab"]}})
	every rules in [{}, {"identifier": {"a": elsewhere}}] {
		hidden_by(rules, {}) == []
	}
}

test_one_that_is_observed_is_told if {
	decision := decided_with(
		{"identifier": {"a": object.union(hidden, {"mode": "observe"})}},
		{},
	)
	decision.obligations == []
	decision.observed == [{"rule": "a", "would": "pseudonymise"}]
}

test_a_tool_call_has_no_user if {
	decision := govgate.decision with data.pack as pack({"identifier": {"a": hidden}})
		with input as called("mail", {})
	decision.obligations == []
}

test_a_denial_sends_nobody if {
	rules := {"identifier": {"a": hidden}, "phrase": {"banned": banned}}
	decision := decided_with(rules, {"findings": [finding("phrase", "weapons")]})
	decision.effect == "deny"
	decision.obligations == []
}
