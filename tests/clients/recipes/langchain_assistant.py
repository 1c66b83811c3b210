"""LangChain's assistant runnable: langchain-classic 1, or langchain up to 0.3. It is openai-python inside.

export OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=sk-sov-…
"""

from langchain_classic.agents import AgentExecutor  # langchain.agents up to 0.3
from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable
from langchain_core.tools import tool


@tool
def get_weather(city: str) -> str:
    """The weather of a city, now."""
    return f"Sunny in {city}."


assistant = OpenAIAssistantRunnable.create_assistant(
    name="Recipe", instructions="Answer in one sentence.", tools=[get_weather], model="gpt-4o", check_every_ms=200
)

# Ask, and wait for the answer: the messages are openai-python's
[answer] = assistant.invoke({"content": "Who are you?"})
print(answer.content[0].text.value)

# Ask again in the same thread
[answer] = assistant.invoke({"content": "Tell me more.", "thread_id": answer.thread_id})
print(answer.content[0].text.value)

# Use tools: an executor calls them, and submits what they say
agent = OpenAIAssistantRunnable(assistant_id=assistant.assistant_id, as_agent=True, check_every_ms=200)
executor = AgentExecutor(agent=agent, tools=[get_weather], return_intermediate_steps=True)
result = executor.invoke({"content": "What is the weather in Lisbon and in Oslo?"})
print(*(output for _, output in result["intermediate_steps"]))
print(result["output"])
