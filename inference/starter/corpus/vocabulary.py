# ruff: noqa: E501
"""Everyday and product words that the tokenizer should hold whole, beside what the corpus itself brings."""

TEXTS = (
    "how do i make a new assistant? what is the address of the admin page? where is the chat? which model are you? how can i get an api key for my colleague",
    "Please tell me which command starts the server. Can I use my own model, with Ollama, LM Studio, llama.cpp, OpenAI, Hugging Face, Qwen, Mistral? Is there a WebSocket? How do I stream tokens with the Python SDK?",
    "I want to create an assistant that answers questions about our documents, can you help me? Explain threads, messages, runs, function calling and tool outputs. The run is stuck, it failed, expired, cancelled, completed, queued, in progress.",
    "What is the capital of France? Who wrote this book? Write a poem about the sea. Translate this sentence into German. Give me a recipe for soup. What's the weather today? Tell me a joke, a story. Who is the president? When was he born? How many people live there?",
    "Why does it not work? Should I use Postgres or SQLite, Redis, database, environment variable, header, request, response, endpoint, schema, documentation, prometheus, monitoring, load balancer, health check, port, laptop, machine, hardware, GPU, internet, offline, tests, lint, benchmark, performance",
    "I would like to know how to install, run, launch, boot, stop, quit, shut down the platform, server, service, application, project, repository, directory, folder, file, data, backup. thanks, hello, good morning, bye",
    "the quick answer is that you can use it for free and there is not much to know about when we have been there before or after they were with him, her, some, many, other, people, would, could, should, which, because, between, through, under, never, always",
    "websocket WebSocket web socket ticket subscribe postgres Postgres PostgreSQL postgresql sqlite SQLite redis Redis laptop browser command terminal token tokens stream streaming streamed",
    "assistant assistants instructions thread threads message messages run runs tool tools function functions key keys revoke revoked expire expires expired cancel cancelled delete create created",
    "swagger Swagger redoc ReDoc openapi OpenAPI api API prometheus Prometheus metrics health healthy admin administration chat landing page address url URL path base_url endpoint endpoints",
    "ollama Ollama vllm vLLM llama qwen mistral model models real bigger better larger serious hugging face engine worker weights parameters trained training scratch demonstration demo",
    "how where what which who why when can could would should does do is are i'm i'd it's there tell me show me explain please help want need know find open see use using make get give take put set change switch turn start begin launch boot run stop quit end close shut kill",
    "capital country city mountain river planet star president king queen author writer painter poem story song recipe weather football history science mathematics physics chemistry biology translate language news movie film book music animal",
    "Who Where What Which When Why How Can Could Would Should Does Is Are There Tell Show Explain Please Help Give Write Name Find Make Hello Thanks Good",
    "my your our their his her its this that these those from with without into onto over under about after before between because while until again another other someone something everything anything nothing",
    "software open source license free price cost security privacy cloud hosted hosting server hardware graphics card gpu GPU cpu CPU memory internet offline network docker container kubernetes proxy linux windows mac",
    "test tests testing lint linter format bench benchmark benchmarks speed fast slow performance error fails failed broken problem issue wrong status requires_action submit_tool_outputs queued in_progress completed incomplete",
)
