// `openai` for Node, over chat completions; `AzureOpenAI` over those of a deployment.

import OpenAI, { AzureOpenAI } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { Message, Reply, send } from './reply.mjs';

const TOOL = { type: 'function', function: { name: 'send', parameters: z.toJSONSchema(Message) } };
const user = (content) => [{ role: 'user', content }];

function clientOf(baseURL, apiKey, vendor) {
  if (vendor !== 'azure') return new OpenAI({ baseURL, apiKey });
  const endpoint = new URL(baseURL).origin;
  return new AzureOpenAI({ endpoint, apiVersion: '2024-10-21', apiKey });
}

export class Application {
  constructor(baseURL, apiKey, model, vendor) {
    this.completions = clientOf(baseURL, apiKey, vendor).chat.completions;
    this.model = model;
  }

  async hello(text) {
    const answer = await this.completions.create({ model: this.model, messages: user(text) });
    return answer.choices[0].message.content;
  }

  async *stream(text) {
    const asked = { model: this.model, messages: user(text), stream: true };
    for await (const chunk of await this.completions.create(asked)) {
      const said = chunk.choices[0]?.delta.content;
      if (said) yield said;
    }
  }

  async tool(text) {
    const asked = { model: this.model, tools: [TOOL] };
    const messages = user(text);
    const { message } = (await this.completions.create({ ...asked, messages })).choices[0];
    const [call] = message.tool_calls;
    const content = send(JSON.parse(call.function.arguments));
    messages.push(message, { role: 'tool', tool_call_id: call.id, content });
    return (await this.completions.create({ ...asked, messages })).choices[0].message.content;
  }

  async structured(text) {
    const response_format = zodResponseFormat(Reply, 'reply');
    const asked = { model: this.model, messages: user(text), response_format };
    return (await this.completions.parse(asked)).choices[0].message.parsed;
  }
}
