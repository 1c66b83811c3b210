// Talks to the server as openai-node does, and prints what happened as JSON lines for the test to judge.
// usage: node run.mjs PACKAGE BASE_URL KEY MODEL STORY [TEXT]; TEXT is what the scripted engine acts on

const [name, baseURL, apiKey, model, story, text] = process.argv.slice(2);
const { default: OpenAI } = await import(name);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const { threads } = client.beta;
const { runs, messages } = threads;
const tell = (name, value) => console.log(JSON.stringify([name, value ?? null]));

// Version 4 takes (thread, run, body), the later ones (run, {thread_id, ...body})
const older = name === "openai-4";
const at = ({ id, thread_id }, body) => (older ? [thread_id, id, ...(body ? [body] : [])] : [id, { thread_id, ...body }]);

const EVENTS = {
  connect: () => null,
  event: ({ event }) => event,
  runStepCreated: (step) => step.type,
  runStepDelta: () => null,
  runStepDone: (step) => step.status,
  toolCallCreated: (call) => call.function?.name ?? call.type,
  toolCallDelta: () => null,
  toolCallDone: (call) => call.function?.arguments ?? call.type,
  messageCreated: (message) => message.content.length,
  messageDelta: () => null,
  messageDone: (message) => message.status,
  textCreated: () => null,
  textDelta: (delta) => delta.value,
  textDone: (content) => content.value,
  imageFileDone: () => null,
  error: (error) => [error.constructor.name, error.message],
  abort: (error) => error.constructor.name,
  end: () => null,
};

function follow(stream) {
  for (const [name, value] of Object.entries(EVENTS)) stream.on(name, (...values) => tell(name, value(...values)));
  return stream;
}

async function begin(...others) {
  const look_up = { type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } };
  const tools = [look_up, ...others];
  const assistant = await client.beta.assistants.create({ model, tools, instructions: "Be brief." });
  const thread = await threads.create({ messages: [{ role: "user", content: text }] });
  return [thread.id, { assistant_id: assistant.id }];
}

async function finish(stream) {
  const run = await stream.finalRun();
  tell("run", { id: run.id, status: run.status, usage: run.usage });
  for (const message of await stream.finalMessages()) tell("message", message.content[0].text.value);
  tell("steps", (await stream.finalRunSteps()).map(({ type }) => type));
  return run;
}

const outputs = (run) => ({
  tool_outputs: run.required_action.submit_tool_outputs.tool_calls.map(({ id }) => ({ tool_call_id: id, output: "42" })),
});

const stories = {
  async stream() {
    await finish(follow(runs.stream(...(await begin()))));
  },

  async createAndStream() {
    await finish(follow(runs.createAndStream(...(await begin()))));
  },

  async createAndRunStream() {
    const [, { assistant_id }] = await begin();
    const thread = { messages: [{ role: "user", content: text }] };
    await finish(follow(threads.createAndRunStream({ assistant_id, thread })));
  },

  // As often as the run asks: each stream ends there, and the outputs open the next one
  async tools() {
    let run = await finish(follow(runs.stream(...(await begin()))));
    while (run.status === "requires_action") {
      run = await finish(follow(runs.submitToolOutputsStream(...at(run, outputs(run)))));
    }
  },

  // The outputs are submitted while the stream that asked for them is still read
  async toolsInside() {
    const read = async (stream) => {
      for await (const { event, data } of stream) {
        tell("event", event);
        if (event === "thread.run.created") tell("run", { id: data.id, status: data.status });
        if (event === "thread.message.delta") tell("textDelta", data.delta.content[0].text.value);
        if (event === "thread.run.requires_action") {
          await read(runs.submitToolOutputsStream(...at(data, outputs(data))));
        }
      }
    };
    await read(runs.stream(...(await begin())));
  },

  // Code and a function in one turn: the output is submitted as soon as the function's call is done
  async codeBeside() {
    const stream = follow(runs.stream(...(await begin({ type: "code_interpreter" }))));
    let answered = null;
    stream.on("toolCallDone", ({ id, type }) => {
      if (type !== "function") return;
      const body = { tool_outputs: [{ tool_call_id: id, output: "42" }] };
      answered = finish(runs.submitToolOutputsStream(...at(stream.currentRun(), body)));
    });
    await stream.done();
    await answered;
  },

  async poll() {
    const [thread, body] = await begin();
    let run = await runs.createAndPoll(thread, body);
    tell("run", { status: run.status, usage: run.usage });
    while (run.status === "requires_action") {
      run = await runs.submitToolOutputsAndPoll(...at(run, outputs(run)));
      tell("run", { status: run.status, usage: run.usage });
    }
    for await (const message of messages.list(thread, { order: "asc", limit: 1 })) {
      tell(message.role, message.content[0].text.value);
    }
  },

  async createAndRunPoll() {
    const [, { assistant_id }] = await begin();
    const thread = { messages: [{ role: "user", content: text }] };
    const run = await threads.createAndRunPoll({ assistant_id, thread });
    tell("run", { status: run.status, usage: run.usage });
  },

  // Somebody else cancels the run while its answer is read
  async cancelled() {
    const other = new OpenAI({ baseURL, apiKey });
    const stream = follow(runs.stream(...(await begin())));
    stream.once("textDelta", () => other.beta.threads.runs.cancel(...at(stream.currentRun())));
    await finish(stream);
  },

  // Something goes wrong while the answer is read
  async interrupted() {
    const stream = follow(runs.stream(...(await begin())));
    await stream.done().catch((error) => tell("thrown", error.constructor.name));
  },

  // The reader leaves; the run is told, so that the test can look after it
  async abandoned() {
    const stream = follow(runs.stream(...(await begin())));
    stream.once("textDelta", () => {
      tell("left", [stream.currentRun().thread_id, stream.currentRun().id]);
      stream.abort();
    });
    await stream.done().catch((error) => tell("thrown", error.constructor.name));
  },

  // A chat: whole, in chunks, through the helper that runs tools, and kept
  async chat() {
    const body = { model, messages: [{ role: "user", content: text }] };
    const whole = await client.chat.completions.create({ ...body, store: true, metadata: { of: text } });
    tell("whole", whole.choices[0].message.content);
    let streamed = "";
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      streamed += chunk.choices[0]?.delta?.content ?? "";
    }
    tell("streamed", streamed);
    for await (const one of await client.models.list()) tell("model", one.id);
    if (older) return;
    for await (const one of await client.chat.completions.list({ metadata: { of: text } })) tell("kept", one.id === whole.id);
    for await (const one of await client.chat.completions.messages.list(whole.id)) tell("said", one.content === text);
    tell("deleted", (await client.chat.completions.delete(whole.id)).deleted);
  },

  async chatTools() {
    const chat = older ? client.beta.chat.completions : client.chat.completions;
    const look_up = { name: "look_up", parameters: { type: "object", properties: {} }, parse: JSON.parse, function: () => "42" };
    const tools = [{ type: "function", function: look_up }];
    const runner = chat.runTools({ model, messages: [{ role: "user", content: text }], tools, stream: true });
    runner.on("functionToolCall", ({ name }) => tell("called", name));
    runner.on("functionCall", ({ name }) => older && tell("called", name));
    tell("final", await runner.finalContent());
  },
};

await stories[story]();
