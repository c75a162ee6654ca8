// The official `openai` package for Node, calling a running gateway as applications do.
// Started by test_openai_node.py, which says in the environment where the gateway is.

import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';

import OpenAI from 'openai';
import { makeParseableResponseFormat } from 'openai/lib/parser';

const { BASE_URL, API_KEY, POOR_KEY, MODEL, PRICED, REFUSED, BLOCKED, ABORTED } = process.env;
const ANN = 'ann.lee@example.org';
const SEND = {
  type: 'function',
  function: {
    name: 'send',
    parameters: { type: 'object', properties: { to: { type: 'string' } }, required: ['to'] },
  },
};

/** The client with its defaults, which include two retries; `attempts` are its requests. */
function caller(apiKey = API_KEY) {
  const attempts = [];
  const counted = (url, init) => {
    attempts.push(String(url));
    return fetch(url, init);
  };
  return { client: new OpenAI({ baseURL: BASE_URL, apiKey, fetch: counted }), attempts };
}

const user = (content) => [{ role: 'user', content }];

/** The error that a call ends in. */
async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return assert.fail('it should have been refused');
}

test('c01 hello', async () => {
  const { client } = caller();
  const answer = await client.chat.completions.create({ model: MODEL, messages: user('hello') });
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].message.content, 'You said: hello');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(answer.usage.total_tokens > 0);
  assert.match(answer._request_id, /^exc_/);
});

test('c02 a stream', async () => {
  const { client } = caller();
  const said = `Hello. This is for ${ANN}. Good bye. Really.`;
  const request = { model: MODEL, messages: user(`@replay chunk 3\n${said}`) };
  const stream = await client.chat.completions.create({ ...request, stream: true });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join('');
  assert.equal(text, `You said: ${said}`);
  const final = await client.chat.completions.stream(request).finalContent();
  assert.equal(final, text);
});

test('c03 usage in a stream', async () => {
  const { client } = caller();
  const stream = await client.chat.completions.create({
    model: MODEL,
    messages: user('hello'),
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.choices.length === 1));
});

test('c24 a stream that the caller aborts', async () => {
  const { client } = caller();
  const { data: stream, response } = await client.chat.completions
    .create({
      model: MODEL,
      messages: user('@replay hang-after 9\nOne day. Two men. Three words. Four winds.'),
      stream: true,
    })
    .withResponse();
  let heard = 0;
  for await (const chunk of stream) {
    assert.ok(chunk.choices.length);
    heard += 1;
    if (heard === 2) stream.controller.abort(); // the upstream would go on for ever
  }
  assert.equal(heard, 2);
  appendFileSync(ABORTED, response.headers.get('x-request-id'));
});

test('c06 tools, whole and streamed', async () => {
  const { client } = caller();
  const messages = user(`call send ${ANN}`);
  const request = { model: MODEL, messages, tools: [SEND] };
  const whole = await client.chat.completions.create(request);
  const [call] = whole.choices[0].message.tool_calls;
  assert.equal(whole.choices[0].finish_reason, 'tool_calls');
  assert.equal(call.function.name, 'send');
  assert.deepEqual(JSON.parse(call.function.arguments), { to: `call send ${ANN}` });
  const streamed = await client.chat.completions.stream(request).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.tool_calls[0].function.arguments,
    call.function.arguments);
  const result = { role: 'tool', tool_call_id: call.id, content: `sent to ${ANN}` };
  const last = await client.chat.completions.create({
    ...request,
    messages: [...messages, whole.choices[0].message, result],
  });
  assert.equal(last.choices[0].message.content, `The tool says: sent to ${ANN}`);
});

test('c05 structured output with masked values', async () => {
  const { client } = caller();
  const nasty = `"${ANN}"\nand https://ann:pa\\ss@shop.example/`;
  const schema = {
    type: 'object',
    properties: { said: { type: 'string' }, sure: { type: 'boolean' } },
    required: ['said', 'sure'],
  };
  const answer = await client.chat.completions.parse({
    model: MODEL,
    messages: user(nasty),
    response_format: makeParseableResponseFormat(
      { type: 'json_schema', json_schema: { name: 'reply', schema, strict: true } },
      JSON.parse,
    ),
  });
  assert.deepEqual(answer.choices[0].message.parsed, { said: `You said: ${nasty}`, sure: false });
});

test('c17 refused by policy: one attempt', async () => {
  for (const stream of [false, true]) {
    const { client, attempts } = caller();
    const error = await failure(() =>
      client.chat.completions.create({ model: MODEL, messages: user(REFUSED), stream }),
    );
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, 'content_filter');
    assert.equal(error.error.governance.exchange_id, error.requestID);
    assert.match(error.error.governance.decision_id, /^dec_/);
    assert.deepEqual(error.error.governance.rules, ['phrases.weapons.deny']);
    assert.equal(attempts.length, 1);
  }
});

test('c19 a block midway raises', async () => {
  const { client, attempts } = caller();
  const request = { model: MODEL, messages: user(BLOCKED), stream: true };
  const stream = await client.chat.completions.create(request);
  let text = '';
  const error = await failure(async () => {
    for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
  });
  assert.ok(error instanceof OpenAI.APIError);
  assert.equal(error.code, 'content_filter');
  assert.match(error.error.governance.decision_id, /^dec_/);
  assert.equal(text, 'Sure. First some history. ');
  assert.equal(attempts.length, 1);
});

test('c18 over budget: one attempt', async () => {
  const { client, attempts } = caller(POOR_KEY);
  const error = await failure(() =>
    client.chat.completions.create({ model: PRICED, messages: user('hello') }),
  );
  assert.ok(error instanceof OpenAI.RateLimitError);
  assert.equal(error.code, 'insufficient_quota');
  assert.equal(attempts.length, 1);
});

test('c16 a bad key', async () => {
  const { client, attempts } = caller('sk-123');
  const error = await failure(() =>
    client.chat.completions.create({ model: MODEL, messages: user('hello') }),
  );
  assert.ok(error instanceof OpenAI.AuthenticationError);
  assert.equal(error.code, 'invalid_api_key');
  assert.equal(attempts.length, 1);
});

test('c12 models', async () => {
  const { client } = caller();
  const listed = [];
  for await (const model of client.models.list()) listed.push(model);
  const small = listed.find((model) => model.id === 'replay-small');
  assert.equal(small.object, 'model');
  assert.equal(typeof small.created, 'number');
  assert.deepEqual({ ...(await client.models.retrieve('replay-small')) }, small);
});
