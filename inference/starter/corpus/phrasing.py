# ruff: noqa: E501, SIM905
"""How people really write: politeness, lower case, missing question marks, typing errors."""

from __future__ import annotations

import re
from random import Random

from .grammar import expand

OPENERS = (
    "{hi|hello|hey|good morning|hi there|hey there|hello there}{,|!|.} ",
    "{please|pls|ok|okay|so|well|and|but|now|right}{,|} ",
    "{quick question|question|one question|another question|just a question|one more thing|sorry, stupid question|dumb question}{:| -|,} ",
    "{excuse me|sorry|thanks|thank you|great|cool|i see|interesting}{,|.} ",
    "{can you tell me|could you tell me|please tell me|tell me|i wonder|i'd like to know|do you know|just wondering}{,|:|} ",
    "{i am new here|i'm new to this|i just installed it|i'm a beginner|i have never used this}{.|,} ",
)
CLOSERS = (
    " {please|pls|thanks|thank you|thx|by the way|exactly|actually|again|here|in sovereign|with sovereign|on this server|for me|then|now|today|right now}",
)

CONTEXTS = (
    "{i am|we are|i'm|we're} {a small team|a student|a teacher|a developer|new at this company|testing this|two people in a garage|the it department|an analyst|a beginner|just looking around|evaluating several products|a hospital|a school|building a shop|working on a prototype}. ",
    "{my boss asked me|a customer asked me|my colleague wants to know|we discussed this yesterday|this may be a silly question|i read the readme but did not find it|i looked everywhere|i have been searching for an hour|i am in a hurry|my manager insists}{.|:|,} ",
    "{everything works so far|the server is running|i have it installed|i opened the page|i got this far|the first steps went well|it started fine|i see the landing page}{.|, but|. now:|. next question:} ",
)
ENDINGS = (
    " for {my|our|a|the} {flower|music|travel|sales|school|support|garden|news|legal|home|research|finance|health|art|sport|book} {shop|team|project|company|app|department|club|website|group|office}",
    " {because|since} {i want to try it|we need it for a demo|my boss wants it|i am curious|we plan to use it at work|it matters for us}",
    "{,|} {if possible|if you know|in case you know|briefly|in short|as simply as possible|in a few words}",
)

NAMES = (
    "API APIs SDK Redis Swagger ReDoc OpenAPI OpenAI WebSocket WebSockets Postgres PostgreSQL SQLite GPU CPU Ollama "
    "vLLM Prometheus Grafana Python JSON URL URLs REST LLM UI Sovereign Llama Qwen Mistral Gemma Django NVIDIA CUDA "
    "HTTP CORS SSE HTML SQL Java JavaScript Rust CSS DNA PC Linux Windows Docker Kubernetes ChatGPT GPT Claude Gemini "
    "Excel Photoshop Europe Africa Mars Jupiter Bitcoin Olympic French English Christmas AI LangChain Postman GitHub "
    "NGINX"
).split()
SPELLING = {name.lower(): name for name in NAMES} | {"lm studio": "LM Studio", "hugging face": "Hugging Face"}
NAMED = re.compile(r"\b(" + "|".join(sorted(map(re.escape, SPELLING), key=len, reverse=True)) + r")\b")


def cased(text: str) -> str:
    """Names and abbreviations as they are properly written: ``redis`` → ``Redis``, ``api`` → ``API``."""
    return NAMED.sub(lambda match: SPELLING[match[0]], text)


def typo(text: str, random: Random) -> str:
    """Drop, double or swap one letter inside a word of at least four letters."""
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    if not places:
        return text
    place = random.choice(places)
    word = words[place]
    at = random.randint(1, len(word) - 2)
    words[place] = random.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(words)


def spoken(text: str, random: Random) -> str:
    """Give a request the look of a typed message: capitals and a mark at the end, or neither."""
    style = random.random()
    if style < 0.55:
        text = text[:1].upper() + text[1:]
        text = text.replace(" i ", " I ").replace(" i'", " I'")
    if style < 0.4 and text[-1:].isalnum():
        asks = text.lower().split(" ")[0] in ASKING
        text += "?" if asks else random.choice((".", "!", "", "."))
    elif text[-1:].isalnum() and random.random() < 0.3:
        text += random.choice(("?", ".", "?", " ?", "??"))
    return text


def dressed(text: str, random: Random) -> str:
    """A question with random politeness, typing errors and capitals."""
    if random.random() < 0.2:
        text = expand(random.choice(OPENERS), random) + " " + text
    if random.random() < 0.1:
        text = f"{text} {expand(random.choice(CLOSERS), random)}"
    if random.random() < 0.05:
        text = f"{text} {expand(random.choice(ENDINGS), random)}".replace(" ,", ",")
    if random.random() < 0.06:
        text = expand(random.choice(CONTEXTS), random) + " " + text
    # Half of all people write names properly, and half write `redis`: to a tokenizer these are different words.
    if random.random() < 0.6:
        text = cased(text)
    if random.random() < 0.1:
        text = typo(text, random)
    return spoken(text, random)


ASKING = frozenset(
    [
        "how",
        "what",
        "what's",
        "where",
        "where's",
        "which",
        "who",
        "who's",
        "when",
        "why",
        "is",
        "are",
        "can",
        "could",
        "does",
        "do",
        "did",
        "may",
        "will",
        "would",
        "should",
        "has",
        "have",
        "am",
        "under",
        "at",
    ]
)
