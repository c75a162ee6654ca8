# A kind as a pack may bring it, for the tests of the library. It has no answer where both are equal.
package govgate.custom.sample

matched := {"tokens": input.context.request.tokens, "most": input.params.most} if {
	is_number(input.params.most)
	input.context.request.tokens > input.params.most
}

matched := null if {
	is_number(input.params.most)
	input.context.request.tokens < input.params.most
}

matched := "yes" if input.params.most == "odd"
