// An assistant with openai-node 4. Only the address and the key differ from before:
//
// export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=sk-sov-…

import OpenAI from "openai";

const client = new OpenAI(); // or new OpenAI({ baseURL, apiKey })
const { runs, messages } = client.beta.threads;

const getWeather = ({ city }) => `Sunny in ${city}.`;

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city, now.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

// What the tools say that a run asks for; it may ask for several at once, and wants all outputs together
const outputsOf = (run) =>
  run.required_action.submit_tool_outputs.tool_calls.map((call) => ({
    tool_call_id: call.id,
    output: getWeather(JSON.parse(call.function.arguments)),
  }));

const newest = async () => (await messages.list(thread.id, { limit: 1 })).data[0].content[0].text.value;

// Prints the answer as it is written, and resolves to the run: completed, or waiting for its tools
async function print(stream) {
  stream.on("textDelta", (delta) => process.stdout.write(delta.value));
  stream.on("textDone", () => process.stdout.write("\n"));
  return stream.finalRun();
}

// "gpt-4o", as any name of a model of OpenAI's, means the server's default model
const assistant = await client.beta.assistants.create({
  model: "gpt-4o",
  name: "Recipe",
  instructions: "Answer in one sentence.",
  tools: [weather],
});
const assistant_id = assistant.id;

// Ask, and wait for the answer
const thread = await client.beta.threads.create({ messages: [{ role: "user", content: "Who are you?" }] });
const thread_id = thread.id;
let run = await runs.createAndPoll(thread_id, { assistant_id });
console.log(`${run.status}:${await newest()}`);

// Ask, and read along
await messages.create(thread_id, { role: "user", content: "Tell me more." });
await print(runs.stream(thread_id, { assistant_id }));

// Use tools, as often as the run asks for them
await messages.create(thread_id, { role: "user", content: "What is the weather in Lisbon and in Oslo?" });
run = await runs.createAndPoll(thread_id, { assistant_id });
while (run.status === "requires_action") {
  const tool_outputs = outputsOf(run);
  console.log(...tool_outputs.map(({ output }) => output));
  run = await runs.submitToolOutputsAndPoll(thread_id, run.id, { tool_outputs });
}
console.log(`${run.status}:${await newest()}`);

// Use tools, and read along
await messages.create(thread_id, { role: "user", content: "And in Lisbon?" });
run = await print(runs.stream(thread_id, { assistant_id }));
while (run.status === "requires_action") {
  run = await print(runs.submitToolOutputsStream(thread_id, run.id, { tool_outputs: outputsOf(run) }));
}
