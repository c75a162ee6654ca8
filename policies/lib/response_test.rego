# How a caller is told no.
package govgate_test

import data.govgate

told(how, message) := rule("response", {"params": {"how": how, "message": message}})

duties_of(responses, rules, facts) := decided_with(
	object.union({"response": responses}, rules),
	facts,
).obligations

weapons := {"phrase": {"banned": banned}}

bomb := {"findings": [finding("phrase", "weapons")]}

test_it_is_said_in_any_case if {
	wanted := [{"id": "respond_with", "params": {"how": "refusal"}, "rule": "a"}]
	duties_of({"a": told("refusal", null)}, {}, {}) == wanted
	duties_of({"a": told("refusal", null)}, weapons, bomb) == wanted
	duties_of({"a": told("refusal", null)}, {"secret": {"held": held}}, {"findings": [key]}) == wanted
}

test_a_denial_gives_no_other_reason_for_it if {
	decision := decided_with(object.union({"response": {"a": told("refusal", null)}}, weapons), bomb)
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["banned"]
}

test_a_model_that_no_rule_admits_is_refused_so_too if {
	decision := govgate.decision with input as question with data.pack as {
		"revision": "sha256:test",
		"rules": {"response": {"a": told("message", "No.")}},
		"exceptions": {},
	}
	decision.effect == "deny"
	decision.obligations == [{
		"id": "respond_with", "params": {"how": "message", "message": "No."},
		"rule": "a",
	}]
}

test_the_strictest_way_stands if {
	rules := {
		"a": told("message", "Sorry."), "b": told("refusal", "No."),
		"c": told("refusal", "Never."), "d": told("refusal", null),
	}
	duties_of(rules, {}, {}) == [{
		"id": "respond_with", "params": {"how": "refusal", "message": "No."},
		"rule": "b,c,d",
	}]
	duties_of(object.union(rules, {"e": told("content_filter", null)}), {}, {}) == [{
		"id": "respond_with", "params": {"how": "content_filter"},
		"rule": "e",
	}]
	duties_of(object.union(rules, {"e": told("error", null)}), {}, {}) == []
}

test_it_is_for_some_applications if {
	some_apps := object.union(told("message", null), {"when": {"apps": ["lab"]}})
	duties_of({"a": some_apps}, {}, {}) == []
}

test_observing_it_changes_nothing if {
	watched := object.union(told("message", null), {"mode": "observe"})
	decision := decided_with({"response": {"a": watched}}, {})
	decision.obligations == []
	decision.observed == [{"rule": "a", "would": "respond_with"}]
}

test_a_tool_call_says_nothing_of_it if {
	decision := govgate.decision with data.pack as pack({"response": {"a": told("message", null)}})
		with input as called("mail", {})
	decision.obligations == []
}
