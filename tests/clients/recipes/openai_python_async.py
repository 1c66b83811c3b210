"""The same without blocking: openai-python's AsyncOpenAI, for versions 1, 2 and 3.

export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=sk-sov-…
"""

import asyncio

from openai import AsyncAssistantEventHandler, AsyncOpenAI

TOOL = {"type": "function", "function": {"name": "get_time", "description": "The time of day, now."}}

client = AsyncOpenAI()


class Printer(AsyncAssistantEventHandler):
    async def on_text_delta(self, delta, snapshot) -> None:
        print(delta.value, end="", flush=True)

    async def on_text_done(self, text) -> None:
        print()

    async def on_event(self, event) -> None:
        if event.event == "thread.run.requires_action":
            run = event.data
            calls = run.required_action.submit_tool_outputs.tool_calls
            async with client.beta.threads.runs.submit_tool_outputs_stream(
                run_id=run.id,
                thread_id=run.thread_id,
                tool_outputs=[{"tool_call_id": call.id, "output": "12:00"} for call in calls],
                event_handler=Printer(),
            ) as stream:
                await stream.until_done()


async def main() -> None:
    assistant = await client.beta.assistants.create(model="gpt-4o", name="Recipe", tools=[TOOL])

    # Ask, and wait for the answer
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Who are you?"}])
    run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    async for message in client.beta.threads.messages.list(thread.id, run_id=run.id):
        print(f"{run.status}:{message.content[0].text.value}")

    # Ask, read along, and use tools from inside the open stream
    await client.beta.threads.messages.create(thread.id, role="user", content="How late is it?")
    async with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=Printer()
    ) as stream:
        await stream.until_done()


asyncio.run(main())
