"""An assistant with openai-python 1, 2 or 3. Only the address and the key differ from before:

export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=sk-sov-…
"""

import json

from openai import AssistantEventHandler, OpenAI

client = OpenAI()  # or OpenAI(base_url=…, api_key=…)


def get_weather(city: str) -> str:
    return f"Sunny in {city}."


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city, now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def outputs_of(run) -> list[dict]:
    """What the tools say that a run asks for; it may ask for several at once, and wants all outputs together."""
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": get_weather(**json.loads(call.function.arguments))} for call in calls]


class Printer(AssistantEventHandler):
    """Prints the answer as it is written, and uses the tools from inside the open stream."""

    def on_text_delta(self, delta, snapshot) -> None:
        print(delta.value, end="", flush=True)

    def on_text_done(self, text) -> None:
        print()

    def on_event(self, event) -> None:
        if event.event == "thread.run.requires_action":
            run = event.data
            with client.beta.threads.runs.submit_tool_outputs_stream(
                run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs_of(run), event_handler=Printer()
            ) as stream:
                stream.until_done()


# "gpt-4o", as any name of a model of OpenAI's, means the server's default model
assistant = client.beta.assistants.create(
    model="gpt-4o", name="Recipe", instructions="Answer in one sentence.", tools=[WEATHER]
)

# Ask, and wait for the answer
thread = client.beta.threads.create(messages=[{"role": "user", "content": "Who are you?"}])
run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
newest = client.beta.threads.messages.list(thread.id, limit=1).data[0]
print(f"{run.status}:{newest.content[0].text.value}")

# Ask, and read along
client.beta.threads.messages.create(thread.id, role="user", content="Tell me more.")
with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Printer()) as stream:
    stream.until_done()

# Use tools, as often as the run asks for them
client.beta.threads.messages.create(thread.id, role="user", content="What is the weather in Lisbon and in Oslo?")
run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
while run.status == "requires_action":
    outputs = outputs_of(run)
    print(*(output["output"] for output in outputs))
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=outputs
    )
newest = client.beta.threads.messages.list(thread.id, limit=1).data[0]
print(f"{run.status}:{newest.content[0].text.value}")

# Use tools, and read along
client.beta.threads.messages.create(thread.id, role="user", content="And in Lisbon?")
with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Printer()) as stream:
    stream.until_done()
