// Run one client for Node for the tests: a task in, what came of it out, each a line of JSON.
//
//     node drive.mjs MODULE [dialect]
//
// What drive.py says of tasks, answers and applications holds here too.

import { createInterface } from 'node:readline';

const SHORT = 200; // milliseconds; what waits less is no retry
const LONG = 60_000; // what waits more is a limit to how long a call may take

const [name, ...dialect] = process.argv.slice(2);
const { Application } = await import(`./${name}.mjs`);

/** Seconds that the package wanted to wait between its attempts. It is not left to. */
const waits = [];
const waiting = globalThis.setTimeout;
globalThis.setTimeout = (after, delay, ...more) => {
  const ours = delay >= SHORT && delay <= LONG && !new Error().stack.includes('undici');
  if (!ours) return waiting(after, delay, ...more);
  waits.push(delay / 1000);
  return waiting(after, 0, ...more);
};

async function perform(application, { do: what, text }, pieces) {
  if (['hello', 'tool', 'structured'].includes(what)) return application[what](text);
  for await (const piece of application.stream(text)) {
    pieces.push(piece);
    if (what === 'hang up') break;
  }
  return pieces.join('');
}

/** The names of an error's class and of those that it extends. */
function kinds(error) {
  const found = [error.name];
  for (let at = Object.getPrototypeOf(error); at?.constructor?.name; at = Object.getPrototypeOf(at))
    found.push(at.constructor.name);
  return found;
}

/** The decision that the body of an error names; one that was retried stands in `lastError`. */
function decisionOf(error) {
  const { error: read, responseBody: raw } = error.lastError ?? error;
  const said = raw ? JSON.parse(raw).error : read;
  return said?.governance?.decision_id ?? null;
}

async function attempt(task) {
  const application = new Application(task.base_url, task.key, task.model, ...dialect);
  const pieces = [];
  try {
    return { said: await perform(application, task, pieces), pieces };
  } catch (error) {
    const told = { kinds: kinds(error), message: error.message, decision: decisionOf(error) };
    return { error: told, pieces };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  waits.length = 0;
  const came = await attempt(JSON.parse(line));
  process.stdout.write(`${JSON.stringify({ ...came, waits })}\n`);
}
