# The one question the gateway asks is data.govgate.decision.
#
# The packs in force are data: their rules, keyed by kind and id, stand at data.pack.rules, their
# exceptions at data.pack.exceptions. Each kind of rule adds to `hits`, in a file of its own; what a hit
# amounts to is settled here. Deny wins, then review, then obligations, then allow; what no
# model_access rule admits is denied.
package govgate

default decision := {
	"effect": "deny",
	"reasons": [{
		"rule": "default",
		"code": "policy_undefined",
		"message": {
			"en": "The policy came to no decision.",
			"fr": "La politique n'a rendu aucune décision.",
		},
		"severity": "high",
		"facts": {},
	}],
	"obligations": [],
	"observed": [],
	"overridden": [],
}

decision := {
	"effect": "deny",
	"reasons": [{
		"rule": "default",
		"code": "question_malformed",
		"message": {
			"en": "The policy was asked in a form that it does not know.",
			"fr": "La question posée à la politique n'a pas la forme attendue.",
		},
		"severity": "high",
		"facts": {},
	}],
	"obligations": [],
	"observed": [],
	"overridden": [],
} if {
	not well_formed
}

decision := {
	"effect": effect,
	"reasons": reasons[effect],
	"obligations": obligations[effect],
	"observed": [{"rule": id, "would": hits[id].would} | some id in sort(observed)],
	"overridden": sort([o | some o in overridden]),
} if {
	well_formed
}

default effect := "deny"

effect := "review" if {
	count(denying) == 0
	count(held) > 0
}

effect := "allow" if {
	count(denying) == 0
	count(held) == 0
}

# Every rule that says no, whatever it gives for a reason.
denying contains id if {
	some id in enforced
	hits[id].would == "deny"
}

denying contains "default.model" if count(admitting) == 0

denying contains "default.unavailable" if count(unspoken) > 0

denials[id] := reason(id) if some id in denying

# A model that no rule admits.
denials["default.model"] := {
	"rule": "default.model",
	"code": "model_not_admitted",
	"message": {
		"en": "No rule admits this model for this caller.",
		"fr": "Aucune règle n'admet ce modèle pour cet appelant.",
	},
	"severity": "medium",
	"facts": {"model": input.resource.id},
} if {
	"default.model" in denying
}

# An inspector that could not be asked, and that no rule speaks of.
denials["default.unavailable"] := {
	"rule": "default.unavailable",
	"code": "inspection_unavailable",
	"message": {
		"en": "The request could not be inspected.",
		"fr": "La requête n'a pas pu être inspectée.",
	},
	"severity": "high",
	"facts": {"inspectors": sort(unspoken)},
} if {
	"default.unavailable" in denying
}

# An approval is a fact of the question that lifts a review, never a way around a denial.
held contains id if {
	not approved
	some id in enforced
	hits[id].would == "review"
}

approved if input.context.review.state == "approved"

# The most severe reason comes first: its message is the one that people read.
severities := ["critical", "high", "medium", "low"]

reasons["deny"] := [denials[id] |
	some severity in severities
	some id in sort(object.keys(denials))
	denials[id].severity == severity
]

reasons["review"] := ranked(held)

reasons["allow"] := ranked(enforced)

ranked(ids) := [reason(id) |
	some severity in severities
	some id in sort(ids)
	hits[id].rule.severity == severity
]

# Of a request that is not let through only one duty is left: how its caller is told.
obligations["deny"] := respond_with

obligations["review"] := respond_with

obligations["allow"] := duties

reason(id) := {
	"rule": id,
	"code": hits[id].rule.code,
	"message": hits[id].rule.message,
	"severity": hits[id].rule.severity,
	"facts": hits[id].facts,
}
