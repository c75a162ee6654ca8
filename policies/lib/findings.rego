# Rules on what inspectors found: personal data, secrets, and phrases of a list.
package govgate

finding_kinds := {"pii", "secret", "phrase"}

# In the request. `on_match` is mask, deny or review.
hits[id] := {
	"rule": rule,
	"would": rule.on_match,
	"facts": {"count": count(found), "labels": tally(found)},
	"labels": {label | some label in found},
} if {
	some kind in finding_kinds
	some id, rule in data.pack.rules[kind]
	rule.params.direction == "input"
	in_force(rule)
	found := labels_found(kind, rule.params)
	count(found) > 0
}

# In the answer, which is not there yet: it is to be screened. `on_match` is filter or redact.
hits[id] := {
	"rule": rule,
	"would": "screen",
	"facts": {"labels": rule.params.labels},
} if {
	some kind in finding_kinds
	some id, rule in data.pack.rules[kind]
	rule.params.direction == "output"
	stage == "request"
	in_force(rule)
}

# In a completed tool call: what would end the answer denies the call.
hits[id] := {
	"rule": rule,
	"would": "deny",
	"facts": {"count": count(found), "labels": tally(found)},
} if {
	stage == "tool_call"
	some kind in finding_kinds
	some id, rule in data.pack.rules[kind]
	rule.params.direction == "output"
	rule.on_match == "filter"
	in_force(rule)
	found := labels_found(kind, rule.params)
	count(found) > 0
}

labels_found(kind, params) := [finding.label |
	some finding in input.context.findings
	finding.kind == kind
	finding.direction == params.direction
	finding.score >= params.min_score
	finding.label in params.labels
]

tally(labels) := {label: n |
	some label in {l | some l in labels}
	n := count([l | some l in labels; l == label])
}
