"""LiteLLM as a library. It takes the address and the key from the environment, or from `api_base` and `api_key`.

export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=sk-sov-…
"""

import litellm
from openai import OpenAI

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

assistant = litellm.create_assistants(
    "openai", model="gpt-4o", name="Recipe", instructions="Answer in one sentence.", tools=[WEATHER]
)


def ask(text: str) -> None:
    litellm.add_message("openai", thread_id=thread.id, role="user", content=text)


def answer() -> str:
    return litellm.get_messages("openai", thread_id=thread.id).data[0].content[0].text.value


# Ask, and wait for the answer
thread = litellm.create_thread("openai", messages=[{"role": "user", "content": "Who are you?"}])
run = litellm.run_thread("openai", thread_id=thread.id, assistant_id=assistant.id)
print(f"{run.status}:{answer()}")

# Ask, and read along
ask("Tell me more.")
with litellm.run_thread_stream(custom_llm_provider="openai", thread_id=thread.id, assistant_id=assistant.id) as stream:
    for text in stream.text_deltas:
        print(text, end="", flush=True)
print()

# Use tools: LiteLLM has no call for their outputs, so openai-python (which it brings along) sends them
ask("What is the weather in Lisbon and in Oslo?")
run = litellm.run_thread("openai", thread_id=thread.id, assistant_id=assistant.id)
calls = run.required_action.submit_tool_outputs.tool_calls
print(*(call.function.arguments for call in calls))
run = OpenAI().beta.threads.runs.submit_tool_outputs_and_poll(
    run_id=run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": call.id, "output": "Sunny."} for call in calls]
)
print(f"{run.status}:{answer()}")
