# Rules on what could not be looked at: opaque parts, and inspectors that were unavailable.
package govgate

# Parts of the request that nobody can read here. `on_match` is label, deny or review.
hits[id] := {
	"rule": rule,
	"would": rule.on_match,
	"facts": {"count": count(parts), "labels": tally(parts)},
} if {
	some id, rule in data.pack.rules.opaque
	rule.params.direction == "input"
	in_force(rule)
	parts := [finding.label |
		some finding in input.context.findings
		finding.kind == "opaque"
		finding.direction == "input"
		finding.label in rule.params.modalities
	]
	count(parts) > 0
}

# Parts that are asked for in the answer.
hits[id] := {
	"rule": rule,
	"would": rule.on_match,
	"facts": {"count": count(asked), "labels": tally(asked)},
} if {
	some id, rule in data.pack.rules.opaque
	rule.params.direction == "output"
	in_force(rule)
	asked := [modality |
		some modality in input.context.request.answers
		modality in rule.params.modalities
	]
	count(asked) > 0
}

# `on_error: open` goes on without the inspector; somebody wrote that down.
hits[id] := {
	"rule": rule,
	"would": {"closed": "deny", "open": "allow"}[rule.on_error],
	"facts": {"inspectors": sort(names)},
	"inspectors": names,
} if {
	some id, rule in data.pack.rules.unavailable
	in_force(rule)
	names := {name |
		some name in input.context.unavailable
		like_any(rule.params.inspectors, name)
	}
	count(names) > 0
}

unspoken contains name if {
	some name in input.context.unavailable
	not spoken_of(name)
}

# A rule that an exception set aside still speaks: the exception is what was written down.
spoken_of(name) if {
	some id in live
	hits[id].rule.kind == "unavailable"
	hits[id].rule.mode == "enforce"
	name in hits[id].inspectors
}
