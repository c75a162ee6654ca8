# The obligations of the rules that are enforced: one of each id, or for `screen` one for each
# unit and ending. Where rules differ the stricter value stands. `rule` names every rule that
# asked for it.
package govgate

hits[id] := {"rule": rule, "would": "label", "facts": {"labels": rule.params.labels}} if {
	some id, rule in data.pack.rules.label
	in_force(rule)
}

hits[id] := {"rule": rule, "would": "cache", "facts": {"seconds": rule.params.seconds}} if {
	some id, rule in data.pack.rules.cache
	in_force(rule)
}

duties := array.flatten([
	reroute, pseudonymise, mask, cap_tokens, restrict_tools, screen, label, cache, respond_with,
])

by(ids) := concat(",", sort(ids))

due[would] contains id if {
	some id in enforced
	would := hits[id].would
}

default mask := []

mask := [{
	"id": "mask",
	"params": {
		"labels": sort({label | some id in due.mask; some label in hits[id].labels}),
		"min_score": min({hits[id].rule.params.min_score | some id in due.mask}),
	},
	"rule": by(due.mask),
}]

default cap_tokens := []

cap_tokens := [{"id": "cap_tokens", "params": {"most": most}, "rule": by(capping)}] if {
	capping := {id | some id in admitting; hits[id].rule.params.max_output_tokens != null}
	most := min({hits[id].rule.params.max_output_tokens | some id in capping})
	stage == "request"
}

default restrict_tools := []

restrict_tools := [{
	"id": "restrict_tools",
	"params": {"allowed": sort({tool |
		some tool in input.context.request.tools
		not tool in refused
	})},
	"rule": by(due.restrict_tools),
}] if {
	refused := union({hits[id].refused | some id in due.restrict_tools})
}

screen := [duty |
	some on_match in ["filter", "redact"]
	some unit in ["sentence", "paragraph", "whole"]
	some duty in screened(on_match, unit)
]

screened(on_match, unit) := [{
	"id": "screen",
	"params": {
		"kinds": sort({rule.kind | some rule in rules}),
		"labels": sort({label | some rule in rules; some label in rule.params.labels}),
		"min_score": min({rule.params.min_score | some rule in rules}),
		"on_match": on_match,
		"unit": unit,
	},
	"rule": by({id | some id in ids}),
}] if {
	ids := {id |
		some id in due.screen
		hits[id].rule.on_match == on_match
		hits[id].rule.params.unit == unit
	}
	count(ids) > 0
	rules := {hits[id].rule | some id in ids}
}

default label := []

label := [{
	"id": "label",
	"params": {"labels": sort({l | some id in due.label; some l in hits[id].rule.params.labels})},
	"rule": by(due.label),
}]

default cache := []

cache := [{
	"id": "cache",
	"params": {"seconds": min({hits[id].rule.params.seconds | some id in due.cache})},
	"rule": by(due.cache),
}]
