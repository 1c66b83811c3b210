// The requests that LibreChat's server sends for its assistants, in its order, through the version of openai-node that
// it pins; and what its stream handler needs of the events. Written from its sources, without its code: the application
// itself is on no package registry. Prints JSON lines for the test to judge.
// usage: node librechat.mjs; reads ASSISTANTS_BASE_URL and ASSISTANTS_API_KEY as LibreChat does

import { randomUUID } from "node:crypto";
import OpenAI from "openai";

const openai = new OpenAI({
  apiKey: process.env.ASSISTANTS_API_KEY,
  baseURL: process.env.ASSISTANTS_BASE_URL,
  defaultHeaders: { "OpenAI-Beta": "assistants=v2" },
});
const { assistants, threads } = openai.beta;
const tell = (name, value) => console.log(JSON.stringify([name, value ?? null]));

// The side panel: every assistant, page by page, from the raw bodies
async function listAll() {
  const found = [];
  for (let after, more = true; more; ) {
    const { body } = await assistants.list({ limit: 100, order: "desc", after, before: undefined });
    found.push(...body.data);
    more = body.has_more;
    after = body.last_id;
  }
  return found;
}

// The builder: create, then save again with everything that its form holds
async function build() {
  const tool = {
    type: "function",
    function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
  };
  const created = await assistants.create({
    name: "Recipe",
    description: "",
    instructions: "Answer in one sentence.",
    model: "gpt-4o",
    tools: [tool],
    metadata: { author: "somebody", endpoint: "assistants" },
  });
  const { name, instructions, model } = created;
  return assistants.update(created.id, { name, description: "Knows the weather.", instructions, model, tools: [tool] });
}

// One message of a person, and the answer: what the chat controller and the stream's handler do
async function chat({ assistant, text, thread_id, onCreated }) {
  const message = { role: "user", content: [{ type: "text", text }], metadata: { messageId: randomUUID() } };
  if (thread_id) await threads.messages.create(thread_id, message);
  else {
    const metadata = { user: "somebody", conversationId: randomUUID() };
    thread_id = (await threads.create({ messages: [message], metadata })).id;
  }
  const seen = { thread_id, run: null, text: "", announced: new Set(), messages: [] };
  const body = { assistant_id: assistant.id, model: assistant.model, additional_instructions: "Be kind." };
  for await (const event of threads.runs.createAndStream(thread_id, body, {})) {
    if (event.event === "thread.run.created") await onCreated?.(event.data);
    await handle(event, seen);
  }
  const metadata = { messageId: randomUUID() };
  await Promise.all(seen.messages.map(({ id }) => threads.messages.update(id, { thread_id, metadata })));
  return seen;
}

async function handle({ event, data }, seen) {
  if (event.startsWith("thread.run.") && !event.startsWith("thread.run.step.")) seen.run = data;
  if (event === "thread.run.requires_action") {
    const { tool_calls } = data.required_action.submit_tool_outputs;
    const tool_outputs = tool_calls.map((call) => ({
      tool_call_id: call.id,
      output: `Sunny in ${JSON.parse(call.function.arguments).city}.`,
    }));
    const body = { thread_id: data.thread_id, tool_outputs, stream: true };
    for await (const event of threads.runs.submitToolOutputsStream(data.id, body, {})) await handle(event, seen);
  } else if (event === "thread.run.step.created" && data.type === "message_creation") {
    seen.announced.add(data.step_details.message_creation.message_id); // where the pieces of that message will go
  } else if (event === "thread.run.step.delta") {
    for (const call of data.delta.step_details.tool_calls) tell("call", [call.index, call.type, typeof call[call.type]]);
  } else if (event === "thread.message.delta") {
    if (!seen.announced.has(data.id)) throw new Error(`a piece of ${data.id} came before its step`);
    seen.text += data.delta.content[0].text.value;
  } else if (event === "thread.message.completed") seen.messages.push(data);
}

// The stop button, pressed while the answer is written: cancel, read what there is, and keep the pieces
async function stop({ id: run_id, thread_id }) {
  const cancelled = await threads.runs.cancel(run_id, { thread_id });
  tell("stopped", cancelled.status);
  await threads.runs.retrieve(run_id, { thread_id });
  const [messages, steps] = await Promise.all([
    threads.messages.list(thread_id, { order: "asc", limit: 100 }),
    threads.runs.steps.list(run_id, { thread_id }),
  ]);
  tell("left", [messages.data.length, steps.data.length]);
}

const assistant = await build();
tell("listed", (await listAll()).some(({ id, description }) => id === assistant.id && description));

const first = await chat({ assistant, text: "Who are you?" });
tell("answer", [first.run.status, first.text, typeof first.run.usage.total_tokens]);

const second = await chat({ assistant, text: "What is the weather in Lisbon and in Oslo?", thread_id: first.thread_id });
tell("answer", [second.run.status, second.text, typeof second.run.usage.total_tokens]);

const third = await chat({ assistant, text: "Count to a thousand.", thread_id: first.thread_id, onCreated: stop });
tell("cancelled", third.run.status);

await assistants.delete(assistant.id);
