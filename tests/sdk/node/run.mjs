// Talks to the server as openai-node does, and prints what happened as JSON lines for the test to judge.
// usage: node run.mjs BASE_URL KEY MODEL stream|tools|poll

import OpenAI from "openai";

const [baseURL, apiKey, model, story] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const tell = (name, value) => console.log(JSON.stringify([name, value ?? null]));

function follow(stream) {
  for (const name of ["runStepCreated", "messageCreated", "textCreated", "toolCallCreated", "toolCallDone"]) {
    stream.on(name, () => tell(name));
  }
  for (const name of ["textDone", "messageDone", "runStepDone", "end"]) {
    stream.on(name, () => tell(name));
  }
  stream.on("textDelta", (delta) => tell("textDelta", delta.value));
  stream.on("error", (error) => tell("error", String(error)));
  return stream;
}

async function begin(text, tools) {
  const assistant = await client.beta.assistants.create({ model, tools, instructions: "Be brief." });
  const thread = await client.beta.threads.create({ messages: [{ role: "user", content: text }] });
  return { assistant_id: assistant.id, thread };
}

async function finish(stream) {
  const run = await stream.finalRun();
  tell("run", { status: run.status, usage: run.usage });
  for (const message of await stream.finalMessages()) tell("message", message.content[0].text.value);
  return run;
}

const stories = {
  async stream() {
    const { assistant_id, thread } = await begin("[tokens=20]", []);
    await finish(follow(client.beta.threads.runs.stream(thread.id, { assistant_id })));
  },

  async tools() {
    const tools = [{ type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } }];
    const { assistant_id, thread } = await begin("[tool=look_up calls=2 tokens=5]", tools);
    const waiting = await finish(follow(client.beta.threads.runs.stream(thread.id, { assistant_id })));
    const calls = waiting.required_action.submit_tool_outputs.tool_calls;
    tell("arguments", calls.map((call) => call.function.arguments));
    const tool_outputs = calls.map((call) => ({ tool_call_id: call.id, output: "42" }));
    const again = client.beta.threads.runs.submitToolOutputsStream(waiting.id, { thread_id: thread.id, tool_outputs });
    await finish(follow(again));
  },

  async poll() {
    const { assistant_id, thread } = await begin("[tokens=20]", []);
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id });
    tell("run", { status: run.status, usage: run.usage });
    for await (const message of client.beta.threads.messages.list(thread.id, { order: "asc", limit: 1 })) {
      tell(message.role, message.content[0].text.value);
    }
  },
};

await stories[story]();
