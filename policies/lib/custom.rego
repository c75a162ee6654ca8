# Rules of the kinds that packs bring in Rego of their own: `custom:<type>`.
#
# A rule of such a kind names its module. The module's `matched` is null where the rule does not
# apply, and else the facts that it rests on; the rule's `params` stand at input.params. Where there
# is no such answer the rule refuses: it may be what was to refuse.
package govgate

hits[id] := {"rule": rule, "would": rule.on_match, "facts": matched[id]} if {
	some id, rule in customs
	is_object(matched[id])
}

hits[id] := {"rule": rule, "would": "deny", "facts": {"unanswered": rule.kind}} if {
	some id, rule in customs
	not answered(id)
}

customs[id] := rule if {
	some kind, rules in data.pack.rules
	startswith(kind, "custom:")
	some id, rule in rules
	in_force(rule)
}

matched[id] := facts if {
	some id, rule in customs
	facts := data.govgate.custom[rule.module].matched with input.params as rule.params
}

answered(id) if is_null(matched[id])

answered(id) if is_object(matched[id])
