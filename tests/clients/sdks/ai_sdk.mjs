// The Vercel AI SDK: `@ai-sdk/openai` over chat completions or responses, and
// `@ai-sdk/openai-compatible`.

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';

import { Message, Reply, send } from './reply.mjs';

function modelOf(baseURL, apiKey, model, dialect) {
  if (dialect === 'compatible') {
    const named = { name: 'govgate', baseURL, apiKey, supportsStructuredOutputs: true };
    return createOpenAICompatible(named).chatModel(model);
  }
  const provider = createOpenAI({ baseURL, apiKey });
  return dialect === 'responses' ? provider.responses(model) : provider.chat(model);
}

export class Application {
  constructor(baseURL, apiKey, model, dialect) {
    this.model = modelOf(baseURL, apiKey, model, dialect);
  }

  async hello(prompt) {
    return (await generateText({ model: this.model, prompt })).text;
  }

  /** Errors stand among the parts of a stream; `textStream` would leave them out. */
  async *stream(prompt) {
    const leaving = new AbortController();
    const asked = { model: this.model, prompt, abortSignal: leaving.signal };
    const { fullStream } = streamText({ ...asked, onError: () => {} });
    try {
      for await (const part of fullStream) {
        if (part.type === 'error') throw part.error;
        if (part.type === 'text-delta') yield part.text;
      }
    } finally {
      leaving.abort();
    }
  }

  async tool(prompt) {
    const tools = { send: tool({ inputSchema: Message, execute: send }) };
    const asked = { model: this.model, prompt, tools, stopWhen: stepCountIs(3) };
    return (await generateText(asked)).text;
  }

  async structured(prompt) {
    const output = Output.object({ schema: Reply });
    return (await generateText({ model: this.model, prompt, output })).output;
  }
}
