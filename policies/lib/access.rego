# Rules on what may be used: models and tools.
package govgate

hits[id] := {
	"rule": rule,
	"would": "allow",
	"facts": {"model": input.resource.id},
} if {
	some id, rule in data.pack.rules.model_access
	like_any(rule.params.models, input.resource.id)
	in_force(rule)
}

admitting contains id if {
	some id in enforced
	hits[id].rule.kind == "model_access"
}

# Tools that are offered to the model. `on_match` is restrict, deny or review.
hits[id] := {
	"rule": rule,
	"would": {"restrict": "restrict_tools", "deny": "deny", "review": "review"}[rule.on_match],
	"facts": {"count": count(refused), "tools": sort(refused)},
	"refused": refused,
} if {
	stage == "request"
	some id, rule in data.pack.rules.tool_access
	in_force(rule)
	refused := {tool |
		some tool in input.context.request.tools
		not permitted(rule.params, tool)
	}
	count(refused) > 0
}

# A tool that the model calls: there is nothing left to take away.
hits[id] := {
	"rule": rule,
	"would": {"restrict": "deny", "deny": "deny", "review": "review"}[rule.on_match],
	"facts": {"count": 1, "tools": [input.context.tool_call.name]},
} if {
	stage == "tool_call"
	some id, rule in data.pack.rules.tool_access
	in_force(rule)
	not permitted(rule.params, input.context.tool_call.name)
}

permitted(params, tool) if {
	like_any(params.allow, tool)
	not like_any(params.deny, tool)
}
