# ruff: noqa: E501
"""What the starter model knows: one or two short answers for each topic about this product.

A tiny model memorises these word by word, so they are short, and every figure in them is the product's own.
"""

from __future__ import annotations

ANSWERS: dict[str, tuple[str, ...]] = {
    "what": (
        "Sovereign is a self-hosted assistants platform. It speaks the OpenAI Assistants API on your own hardware, so your data stays with you.",
        "Sovereign is a self-hosted assistants platform: you make assistants in the admin, and any OpenAI SDK can talk to them through the Assistants API.",
    ),
    "why": (
        "Sovereign speaks the OpenAI Assistants API on your own hardware. It is self-hosted, so your assistants and their data stay with you.",
    ),
    "start": (
        "One command starts everything: `make up`. It installs what is needed, starts Sovereign and prints the address, http://127.0.0.1:8000/.",
        "Run `make up`. It installs Sovereign, starts it and prints the address and, the first time, an API key.",
    ),
    "landing": ("The landing page is at http://127.0.0.1:8000/ and leads to chat, admin and API.",),
    "chat": (
        "The chat page is at `/chat/`. Pick an assistant there, write a message and watch the answer stream in.",
        "Open `/chat/` in your browser, pick an assistant and write to it.",
    ),
    "admin": (
        "The admin is at `/admin/`. Sign in there to manage assistants, API keys, threads and runs.",
        "Open `/admin/` and sign in with the account that the first `make up` printed.",
    ),
    "api": ("The API is under `/v1`: the base URL is http://127.0.0.1:8000/v1.",),
    "swagger": ("Swagger UI is at `/docs`. There you can read about every endpoint and try it out.",),
    "redoc": ("ReDoc is at `/redoc`. It shows the API reference on one page.",),
    "openapi": ("The OpenAPI schema is at `/openapi.json`.",),
    "health": ("The health check is at `/health`. It answers with the status healthy while the server is up.",),
    "metrics": ("Prometheus metrics are at `/metrics`.",),
    "port": (
        "Sovereign listens on port 8000. Set `SOVEREIGN_PORT` to use another port.",
        "The port is 8000. To change it, set `SOVEREIGN_PORT` and run `make up` again.",
    ),
    "pages": (
        "The pages are: chat at `/chat/`, admin at `/admin/`, the API at `/v1`, Swagger UI at `/docs` and health at `/health`.",
    ),
    "assistant": (
        "Open Admin → Assistants → Add, choose a model, write the instructions and save. By API it is `POST /v1/assistants`.",
        "In the admin go to Admin → Assistants → Add: choose a model, write instructions and save.",
    ),
    "assistant_api": (
        "Send `POST /v1/assistants` with a model, a name and instructions. In the SDK it is `client.beta.assistants.create(...)`.",
    ),
    "instructions": ("Open Admin → Assistants, pick the assistant, change its instructions or its model and save.",),
    "key_first": (
        "The first `make up` prints an API key on a line that begins with `API key: sk-sov-`. More keys: Admin → API keys → Add.",
        "`make up` prints an API key the first time. Another one you make under Admin → API keys → Add.",
    ),
    "key_more": ("For another API key go to Admin → API keys → Add, or run `python manage.py create_api_key`.",),
    "key_command": ("The command is `python manage.py create_api_key`. It prints a new API key once.",),
    "key_lost": ("An API key is shown only once and cannot be read again. Make another under Admin → API keys → Add.",),
    "key_revoke": (
        "Yes. API keys can be revoked under Admin → API keys, and a key can also expire on a date that you set.",
    ),
    "model_real": (
        "Set `SOVEREIGN_ENGINE_URL` to any OpenAI-compatible server, or `MODEL_NAME` to a model for vLLM, and run `make up` again.",
        "To use a real model set `MODEL_NAME` to a model name or folder for vLLM, or `SOVEREIGN_ENGINE_URL` to an OpenAI-compatible server, then run `make up`.",
    ),
    "engine_url": (
        "`SOVEREIGN_ENGINE_URL` is the address of any OpenAI-compatible server. Set it and run `make up` again: your assistants then use that server's models.",
    ),
    "model_name": (
        "`MODEL_NAME` is the name or the folder of the model that vLLM loads. Set it and run `make up` again.",
    ),
    "vllm_worker": ("`python manage.py vllm_worker --model NAME` starts vLLM with that model and works on runs.",),
    "stream": (
        "Pass `stream=True` when you create a run, or use `client.beta.threads.runs.stream(...)` in the SDK. There is also a WebSocket.",
        "Use `stream=True` or the SDK's `client.beta.threads.runs.stream(...)`; the answer then arrives piece by piece.",
    ),
    "websocket": ("Connect to the WebSocket `/ws/threads/{thread_id}` with a ticket from `POST /v1/ws_tickets`.",),
    "ticket": (
        "A ticket for the WebSocket comes from `POST /v1/ws_tickets`; use it once on `/ws/threads/{thread_id}`.",
    ),
    "tools": (
        "Add function tools to the assistant's `tools`. A run that calls one stops with `requires_action`, and you send the result with `submit_tool_outputs`.",
    ),
    "requires_action": (
        "`requires_action` means that the run waits for your tool: run the function and send its result with `submit_tool_outputs`.",
    ),
    "submit": ("Send the result of the tool with `submit_tool_outputs` on the run; then the run goes on.",),
    "thread": ("A thread is a conversation: it holds the messages of the user and of the assistant.",),
    "run": ("A run lets an assistant work on a thread: it reads the messages and writes an answer.",),
    "thread_run": (
        "A thread holds the messages of a conversation; a run lets an assistant work on that thread and write an answer.",
    ),
    "one_run": ("A thread can have only one active run. Wait until it ends, or cancel it, before you start the next.",),
    "cancel": (
        "A run can be cancelled: `POST /v1/threads/{thread_id}/runs/{run_id}/cancel`, or press stop in the chat.",
    ),
    "expire": ("A run expires after 10 minutes if it has not ended by then.",),
    "data": ("All data lives under `var/`. Set `SOVEREIGN_DATA_DIR` to keep it in another folder.",),
    "database": ("The database is SQLite by default. Set `DATABASE_URL` to use Postgres.",),
    "redis": ("Set `REDIS_URL` to connect Redis. It is optional.",),
    "header": (
        "Requests with an API key carry the header `OpenAI-Beta: assistants=v2`. The OpenAI SDKs send it by themselves.",
    ),
    "sdk": (
        'Use the OpenAI SDK with `base_url="http://127.0.0.1:8000/v1"` and your API key. Nothing else changes in your code.',
    ),
    "stop": ("Press Ctrl-C in the terminal where `make up` runs. Everything stops cleanly.",),
    "test": ("Run `make test` for the tests.",),
    "lint": ("Run `make lint` to check the code.",),
    "bench": ("Run `make bench` for the benchmarks.",),
    "model": (
        "I am `sovereign-starter`, a small demonstration model. This project trained me from scratch, and I run on a CPU through vLLM.",
    ),
    "trained": (
        "`sovereign-starter` was trained from scratch by this project, on a CPU, only for demonstration. It has about 3.3 million parameters.",
    ),
    "simple": (
        "I am only a small demonstration model with about 3.3 million parameters. Choose a real model for real work: set `MODEL_NAME` or `SOVEREIGN_ENGINE_URL`.",
    ),
    "gpu": ("No GPU is needed: the demonstration model runs on a CPU. It needs no key and no internet either.",),
    "internet": (
        "No internet is needed: everything runs on your own hardware, and the demonstration model needs no GPU and no key.",
    ),
    "who": (
        "I am the Sovereign guide, a small demonstration model. Ask me about Sovereign: assistants, API keys, models, streaming, tools.",
    ),
    "can_do": (
        "I answer short questions about Sovereign: how to start it, make assistants, get API keys, stream and use tools. I am a small demonstration model.",
    ),
}

GREETING = "Hello! I am the Sovereign guide, a small demonstration model. Ask me about Sovereign, its assistants, keys, models, streaming or tools."
THANKS = "You are welcome! Ask me more about Sovereign if you like."
GOODBYE = "Goodbye! I am here whenever you have a question about Sovereign."
OUTSIDE = (
    "I am only a small demonstration model and cannot answer that. Ask me about Sovereign, or choose a real model.",
    "I am a small demonstration model: I only know a little about Sovereign. Choose a real model for questions like this one.",
)
