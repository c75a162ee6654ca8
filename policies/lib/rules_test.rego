# What each kind of rule does.
package govgate_test

import data.govgate

decided_with(rules, facts) := decision if {
	decision := govgate.decision with input as asked(facts) with data.pack as pack(rules)
}

duty(decision, id) := found if {
	[found] := [entry | some entry in decision.obligations; entry.id == id]
}

# Models

only(models, most, mode) := {
	"revision": "sha256:test",
	"rules": {"model_access": {"only": rule("model_access", {
		"mode": mode,
		"params": {"models": models, "max_output_tokens": most},
	})}},
	"exceptions": {},
}

test_a_model_that_no_rule_admits_is_denied if {
	decision := govgate.decision with input as question with data.pack as only(["claude*"], null, "enforce")
	decision.effect == "deny"
	[reason] := decision.reasons
	reason.code == "model_not_admitted"
	reason.facts == {"model": "gpt-4o"}
}

test_an_observed_admission_admits_nothing if {
	decision := govgate.decision with input as question with data.pack as only(["*"], null, "observe")
	decision.effect == "deny"
	decision.observed == [{"rule": "only", "would": "allow"}]
}

test_the_least_cap_stands if {
	rules := {"model_access": {
		"nine": rule("model_access", {"params": {"models": ["gpt-*"], "max_output_tokens": 9}}),
		"five": rule("model_access", {"params": {"models": ["*"], "max_output_tokens": 5}}),
		"one": rule("model_access", {"params": {"models": ["claude"], "max_output_tokens": 1}}),
	}}
	decision := decided_with(rules, {})
	decision.obligations == [{"id": "cap_tokens", "params": {"most": 5}, "rule": "five,nine"}]
}

# Tools

tools(params, on_match) := {"tool_access": {"tools": rule(
	"tool_access",
	{"params": params, "on_match": on_match},
)}}

offered := {"request": {"tools": ["shell", "search", "mail"]}}

test_tools_are_taken_away if {
	decision := decided_with(tools({"allow": ["s*"], "deny": ["shell"]}, "restrict"), offered)
	decision.effect == "allow"
	duty(decision, "restrict_tools").params == {"allowed": ["search"]}
}

test_two_rules_take_away_more if {
	both := object.union(
		tools({"allow": ["*"], "deny": ["shell"]}, "restrict"),
		{"tool_access": {"too": rule(
			"tool_access",
			{"params": {"allow": ["s*"], "deny": []}, "on_match": "restrict"},
		)}},
	)
	decision := decided_with(both, offered)
	duty(decision, "restrict_tools") == {
		"id": "restrict_tools", "params": {"allowed": ["search"]}, "rule": "too,tools",
	}
}

test_a_tool_may_deny_or_hold_the_request if {
	denied := decided_with(tools({"allow": ["*"], "deny": ["shell"]}, "deny"), offered)
	denied.effect == "deny"
	denied.reasons[0].facts == {"count": 1, "tools": ["shell"]}
	decided_with(tools({"allow": ["*"], "deny": ["shell"]}, "review"), offered).effect == "review"
}

test_tools_that_are_allowed_carry_no_duty if {
	decided_with(tools({"allow": ["*"], "deny": []}, "deny"), offered).obligations == []
}

test_a_tool_that_is_called if {
	every on_match, effect in {"restrict": "deny", "deny": "deny", "review": "review"} {
		decision := govgate.decision with input as called("shell", {})
			with data.pack as pack(tools({"allow": ["*"], "deny": ["shell"]}, on_match))
		decision.effect == effect
	}
	allowed := govgate.decision with input as called("search", {})
		with data.pack as pack(tools({"allow": ["*"], "deny": ["shell"]}, "deny"))
	allowed.effect == "allow"
}

# Findings

test_findings_are_masked if {
	decision := decided_with({"pii": {"masked": mask}}, {"findings": [
		finding("pii", "EMAIL"), finding("pii", "EMAIL"), finding("pii", "PHONE"),
		finding("pii", "IBAN"), finding("secret", "EMAIL"), said("pii", "EMAIL"),
		object.union(finding("pii", "PHONE"), {"score": 0.4}),
	]})
	decision.effect == "allow"
	duty(decision, "mask") == {
		"id": "mask", "params": {"labels": ["EMAIL", "PHONE"], "min_score": 0.5},
		"rule": "masked",
	}
	decision.reasons[0].facts == {"count": 3, "labels": {"EMAIL": 2, "PHONE": 1}}
}

test_masks_become_one if {
	two := {
		"pii": {"masked": mask},
		"secret": {"also": rule("secret", {
			"params": {"direction": "input", "labels": ["KEY"], "min_score": 0.3},
			"on_match": "mask",
		})},
	}
	decision := decided_with(two, {"findings": [finding("pii", "EMAIL"), finding("secret", "KEY")]})
	decision.obligations == [{
		"id": "mask", "params": {"labels": ["EMAIL", "KEY"], "min_score": 0.3},
		"rule": "also,masked",
	}]
}

answers(label, on_match, unit) := rule("pii", {
	"params": {"direction": "output", "labels": [label], "min_score": 0.5, "unit": unit},
	"on_match": on_match,
})

test_screens_are_one_for_each_ending_and_unit if {
	decision := decided_with(
		{"pii": {
			"a": answers("EMAIL", "redact", "sentence"),
			"b": answers("PHONE", "redact", "sentence"),
			"c": answers("IBAN", "filter", "sentence"),
			"d": answers("IBAN", "filter", "whole"),
		}},
		{},
	)
	[[entry.rule, entry.params.on_match, entry.params.unit] | some entry in decision.obligations] == [
		["c", "filter", "sentence"], ["d", "filter", "whole"], ["a,b", "redact", "sentence"],
	]
	decision.obligations[2].params == {
		"kinds": ["pii"], "labels": ["EMAIL", "PHONE"], "min_score": 0.5,
		"on_match": "redact", "unit": "sentence",
	}
}

test_what_would_end_an_answer_denies_a_tool_call if {
	every on_match, effect in {"filter": "deny", "redact": "allow"} {
		decision := govgate.decision with data.pack as pack({"pii": {"a": answers("EMAIL", on_match, "whole")}})
			with input as called("mail", {"findings": [said("pii", "EMAIL")]})
		decision.effect == effect
		decision.obligations == []
	}
}

test_a_tool_call_carries_no_duty if {
	decision := govgate.decision with data.pack as pack({"pii": {"masked": mask}})
		with input as called("mail", {"findings": [finding("pii", "EMAIL")]})
	decision.effect == "allow"
	decision.obligations == []
	rule_ids(decision.reasons) == ["admit"]
}

# Parts that cannot be read

opaque(direction, on_match) := {"opaque": {"parts": rule("opaque", {
	"params": {"direction": direction, "modalities": ["image", "audio"], "labels": ["unread"]},
	"on_match": on_match,
})}}

test_opaque_parts if {
	image := {"findings": [finding("opaque", "image")]}
	duty(decided_with(opaque("input", "label"), image), "label").params == {"labels": ["unread"]}
	decided_with(opaque("input", "deny"), image).effect == "deny"
	decided_with(opaque("input", "review"), image).effect == "review"
	decided_with(opaque("input", "deny"), {"findings": [finding("opaque", "file")]}).effect == "allow"
	decided_with(opaque("output", "deny"), image).effect == "allow"
}

test_opaque_answers if {
	sound := {"request": {"answers": ["text", "audio"]}}
	decision := decided_with(opaque("output", "deny"), sound)
	decision.effect == "deny"
	decision.reasons[0].facts == {"count": 1, "labels": {"audio": 1}}
	decided_with(opaque("input", "deny"), sound).effect == "allow"
}

# Inspectors that could not be asked

unavailable(inspectors, on_error, more) := {"unavailable": {"gone": rule("unavailable", object.union(
	{"params": {"inspectors": inspectors}, "on_error": on_error},
	more,
))}}

gone := {"unavailable": ["pii"]}

test_without_a_rule_unavailable_is_denied if {
	decision := decided_with({}, gone)
	decision.effect == "deny"
	[reason] := decision.reasons
	reason.code == "inspection_unavailable"
	reason.facts == {"inspectors": ["pii"]}
}

test_closed_is_denied_by_its_rule if {
	decision := decided_with(unavailable(["*"], "closed", {}), gone)
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["gone"]
}

test_open_goes_on_and_says_so if {
	decision := decided_with(unavailable(["p*"], "open", {}), gone)
	decision.effect == "allow"
	"gone" in rule_ids(decision.reasons)
}

test_open_for_one_is_not_open_for_another if {
	decision := decided_with(unavailable(["phrase"], "open", {}), {"unavailable": ["pii", "phrase"]})
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["default.unavailable"]
}

test_observing_does_not_open if {
	decision := decided_with(unavailable(["*"], "open", {"mode": "observe"}), gone)
	decision.effect == "deny"
	rule_ids(decision.reasons) == ["default.unavailable"]
}

test_an_exception_to_closed_opens if {
	policy := object.union(
		pack(unavailable(["*"], "closed", {})),
		{"exceptions": {"gone": {"x": {"until": "2027-01-01T00:00:00", "when": {}}}}},
	)
	decision := govgate.decision with data.pack as policy with input as asked(gone)
	decision.effect == "allow"
	decision.overridden == [{"rule": "gone", "by": "x"}]
}

# Labels and caching

test_labels_become_one if {
	rules := {"label": {
		"a": rule("label", {"params": {"labels": ["x", "y"]}}),
		"b": rule("label", {"params": {"labels": ["y", "w"]}}),
	}}
	decided_with(rules, {}).obligations == [{
		"id": "label", "params": {"labels": ["w", "x", "y"]},
		"rule": "a,b",
	}]
}

test_the_shortest_memory_stands if {
	rules := {"cache": {
		"a": rule("cache", {"params": {"seconds": 60}}),
		"b": rule("cache", {"params": {"seconds": 9}}),
	}}
	decided_with(rules, {}).obligations == [{"id": "cache", "params": {"seconds": 9}, "rule": "a,b"}]
}

test_duties_have_an_order if {
	rules := {
		"cache": {"f": rule("cache", {"params": {"seconds": 60}})},
		"label": {"e": rule("label", {"params": {"labels": ["x"]}})},
		"pii": {"a": mask, "d": answers("EMAIL", "filter", "sentence")},
		"model_access": {"b": rule("model_access", {"params": {"models": ["*"], "max_output_tokens": 9}})},
		"residency": {"g": stays({"hosting": ["internal"]})},
		"response": {"h": told("message", null)},
		"tool_access": {"c": rule(
			"tool_access",
			{"params": {"allow": ["search"], "deny": []}, "on_match": "restrict"},
		)},
	}
	decision := decided_with(rules, object.union(offered, {"findings": [finding("pii", "EMAIL")]}))
	[entry.id | some entry in decision.obligations] == [
		"reroute", "mask", "cap_tokens", "restrict_tools",
		"screen", "label", "cache", "respond_with",
	]
}
