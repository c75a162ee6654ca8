"""The words of the APIs themselves: as names of members they are nobody's text.

A word that is missing here is looked at where it stands, which costs time and hides nothing.
Sources: OpenAI's and Anthropic's API references; JSON Schema 2020-12 and draft 7; OpenAPI 3.1.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"(?=.*[A-Za-z])[\w.:/#$-]{1,256}", re.ASCII)


def is_token(text: str) -> bool:
    """Whether `text` looks like one name or id: a single word, with a letter in it."""
    return _TOKEN.fullmatch(text) is not None


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


VOCABULARY = _words(
    """
    1h 5m adaptive additional_tools allowed_callers allowed_domains allowed_tools allowlist
    annotations any application/json application/pdf apply_patch apply_patch_call
    apply_patch_call_output approval_request_id approximate arguments assistant audio
    authorization auto background base64 best_of blocked_domains budget budget_tokens
    cache_control call_id char_location choices chunking_strategy citations city code
    code_execution code_interpreter code_interpreter_call command commands compaction completed
    computer computer_call computer_call_output computer_screenshot computer_use_preview container
    container_file_citation container_upload content content_block_location content_index context
    context_management country created custom custom_tool_call custom_tool_call_output data
    defer_loading definition delta description detail developer dimensions disabled document
    documents domain_secrets echo effort enabled encoding_format encrypted_content end_index
    environment ephemeral error exact expires_at failed file file_citation file_data file_id
    file_ids file_path file_search file_search_call file_url filename filters fingerprint
    finish_reason format frequency_penalty function function_call function_call_output functions
    generate_summary grammar headers high id image image/gif image/jpeg image/png image/webp
    image_generation image_generation_call image_url in_progress include include_obfuscation
    include_usage incomplete index inference_geo input input_audio input_examples input_fidelity
    input_file input_image input_schema input_text instructions is_error item_id item_reference
    json_object json_schema key keywords known_speaker_names language lark local_shell
    local_shell_call local_shell_call_output logit_bias logprobs logs low mask max
    max_completion_tokens max_num_results max_output_tokens max_tokens max_tool_calls max_uses mcp
    mcp_approval_request mcp_approval_response mcp_call mcp_list_tools mcp_server_name mcp_servers
    mcp_tool_result mcp_tool_use mcp_toolset media_type medium message messages metadata minimal
    modalities mode model moderation n name namespace network_policy none object operation outcome
    output output_compression output_config output_format output_index output_schema output_text
    page page_location parallel_tool_calls parameters partial partial_images phase plan prediction
    presence_penalty previous_message_id previous_response_id prompt prompt_cache_key
    prompt_cache_retention quality queries ranker ranking_options reasoning
    reasoning.encrypted_content reasoning_content reasoning_effort reasoning_text
    redacted_thinking refusal region require_approval required response_format result results
    retrieval role safety_identifier schema score_threshold search_context_size search_result
    search_result_location seed server_description server_label server_name server_tool_use
    server_url service_tier shell shell_call shell_call_output signature size source speed
    start_index status stderr stdout stop stop_sequences store stream stream_format stream_options
    strict style suffix summary summary_text syntax system task temperature text text/plain
    thinking timestamp_granularities timezone title tool tool_call_id tool_calls tool_choice
    tool_name tool_names tool_reference tool_result tool_search tool_search_call
    tool_search_output tool_use tool_use_id tools top_k top_logprobs top_p transcript truncation
    ttl type url url_citation usage user user_location variables vector_store_ids verbosity voice
    wav web_fetch web_fetch_tool_result web_search web_search_call web_search_options
    web_search_preview web_search_result web_search_tool_result
    """
)
"""Names, and words that stand where one of several is told."""

NUMBERS = _words(
    """
    best_of dimensions frequency_penalty max_completion_tokens max_output_tokens max_tokens
    max_tool_calls n partial_images presence_penalty seed speed temperature top_k top_logprobs top_p
    """
)
"""Members of a request that are numbers: limits, seeds. They are nobody's text."""

KEYWORDS = _words(
    """
    $anchor $comment $defs $dynamicAnchor $dynamicRef $id $ref $schema $vocabulary
    additionalItems additionalProperties allOf anyOf const contains contentEncoding
    contentMediaType contentSchema default definitions dependencies dependentRequired
    dependentSchemas deprecated description discriminator else enum example examples
    exclusiveMaximum exclusiveMinimum externalDocs format if items maxContains maxItems
    maxLength maxProperties maximum minContains minItems minLength minProperties minimum
    multipleOf not nullable oneOf pattern patternProperties prefixItems properties propertyNames
    propertyOrdering readOnly required strict then title type unevaluatedItems
    unevaluatedProperties uniqueItems writeOnly xml
    """
)
"""What a JSON schema says of a value."""

TYPES = _words(
    """
    array boolean integer null number object string
    date date-time duration email hostname int32 int64 float double ipv4 ipv6 iri json-pointer
    regex time uri uri-reference uuid byte binary password
    http://json-schema.org/draft-07/schema# https://json-schema.org/draft/2020-12/schema
    """
)
"""Types, formats and drafts that a JSON schema tells."""
