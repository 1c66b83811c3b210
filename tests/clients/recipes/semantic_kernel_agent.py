"""Semantic Kernel's OpenAIAssistantAgent (Python, 1.27 and later).

export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=sk-sov-…
"""

import asyncio
from typing import Annotated

from semantic_kernel.agents import AssistantAgentThread, OpenAIAssistantAgent
from semantic_kernel.functions import kernel_function


class Weather:
    @kernel_function(description="The weather of a city, now.")
    def get_weather(self, city: Annotated[str, "The city's name"]) -> str:
        print(f"(looks up {city})")
        return f"Sunny in {city}."


async def main() -> None:
    client = OpenAIAssistantAgent.create_client(ai_model_id="gpt-4o")
    definition = await client.beta.assistants.create(
        model="gpt-4o", name="Recipe", instructions="Answer in one sentence."
    )
    agent = OpenAIAssistantAgent(client=client, definition=definition, plugins=[Weather()])
    thread = AssistantAgentThread(client=client)

    # Ask, and wait for the answer
    response = await agent.get_response(messages="Who are you?", thread=thread)
    print(response.content)

    # Ask, and read along
    async for piece in agent.invoke_stream(messages="Tell me more.", thread=thread):
        print(piece.content, end="", flush=True)
    print()

    # Use tools: the agent calls the plugins' functions, and submits what they say
    response = await agent.get_response(messages="What is the weather in Lisbon and in Oslo?", thread=thread)
    print(response.content)

    # Use tools, and read along
    async for piece in agent.invoke_stream(messages="And in Lisbon?", thread=thread):
        print(piece.content, end="", flush=True)
    print()


asyncio.run(main())
