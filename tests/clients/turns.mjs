// A conversation of three turns with the Vercel AI SDK as it comes: it names the items of earlier
// turns by their ids. Started by test_item_references.py. Prints what was said in each turn.

import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';

const { BASE_URL, API_KEY, MODEL, ANN } = process.env;
const model = createOpenAI({ baseURL: BASE_URL, apiKey: API_KEY }).responses(MODEL);
const messages = [];

/** One turn: what is asked, and what was answered, is remembered as the SDK hands it over. */
async function turn(content, ask) {
  messages.push({ role: 'user', content });
  const { text, response } = await ask({ model, messages });
  messages.push(...(await response).messages);
  process.stdout.write(`${JSON.stringify(await text)}\n`);
}

async function streamed(asked) {
  const answer = streamText({ ...asked, onError: () => {} });
  for await (const part of answer.fullStream) if (part.type === 'error') throw part.error;
  return answer;
}

await turn(`hello ${ANN}`, generateText);
await turn('and?', streamed);
await turn('bye', generateText);
