# Rules on where a request may be answered: by which targets of its model.
package govgate

# With `labels`, only a request in which something was found under one of them.
hits[id] := {
	"rule": rule,
	"would": "reroute",
	"facts": {"count": count(found), "labels": tally(found)},
} if {
	some id, rule in data.pack.rules.residency
	in_force(rule)
	found := [finding.label |
		some finding in input.context.findings
		finding.direction == "input"
		finding.score >= rule.params.min_score
		finding.label in rule.params.labels
	]
	concerns(rule.params, found)
}

concerns(params, _) if params.labels == null

concerns(_, found) if count(found) > 0

default reroute := []

# What every rule admits, of each list that one gives; a target needs every tag that one wants.
reroute := [{
	"id": "reroute",
	"params": object.union(
		{name: sort(intersection(lists)) |
			some name in ["hosting", "region", "providers"]
			lists := given(name)
			count(lists) > 0
		},
		{"tags": sort(union(lists)) | lists := given("tags"); count(lists) > 0},
	),
	"rule": by(due.reroute),
}]

given(name) := {{value | some value in values} |
	some id in due.reroute
	values := hits[id].rule.params[name]
	values != null
}
