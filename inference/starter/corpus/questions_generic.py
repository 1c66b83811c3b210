# ruff: noqa: E501
"""Wordings that any page or feature can be asked for with, multiplied by the nouns of each topic."""

from __future__ import annotations

PAGES = {
    "landing": "the landing page|the start page|the home page|the main page|the front page",
    "chat": "the chat|the chat page|the chat window|the web chat|the conversation page|the chat ui",
    "admin": "the admin|the admin area|the admin page|the admin panel|the administration|the django admin|the admin site",
    "api": "the api|the rest api|the api root|the base of the api|the http api|the assistants api",
    "swagger": "swagger|the swagger ui|the api docs|the interactive docs|the api documentation|the documentation",
    "redoc": "redoc|the redoc page|the redoc docs|the api reference|the redoc reference",
    "openapi": "the openapi schema|the openapi file|the openapi json|the schema|the api schema|the openapi spec|the api specification",
    "health": "the health check|the health endpoint|the health status|the liveness check|the healthcheck|the status endpoint",
    "metrics": "the metrics|the prometheus metrics|the metrics page|the metrics endpoint|the numbers for prometheus|the statistics",
    "websocket": "the websocket|the web socket|the websocket endpoint|the ws endpoint",
}
PAGE_PHRASES = (
    "where {does|do} {N} {live|sit|run|hide|reside|belong|appear}",
    "{what|which} {url|address|path|page|link|route|endpoint} {is|are|has|does} {N} {on|at|under|served on|served at|located at|served from|mapped to|use|have|}",
    "{at|on|under|behind|below} {which|what} {url|address|path|page|link|route} {is|are|do i find|can i find|would i find|do i get|can i see|do you serve|does it serve|sits|lives|is there} {N}",
    "{how|where} {do|can|could|should|would} {i|we|a visitor|my colleague|someone|a user|one} {find|see|open|visit|reach|access|look at|get to|view|use|load|go to} {N}",
    "{i need|i want|i'm looking for|i am looking for|i'd like|show me|give me|take me to|open|i prefer|i like|we need|let me see|i miss|i would rather use} {N}{| please| in the browser| instead|, where is it|, where|, how|, is it there|. where is it|. do you have it}",
    "{do you have|is there|do you offer|do you expose|do you provide|does it have|does the server have|does sovereign have|does sovereign expose|have you got} {N}{| somewhere| too| at all| as well| i can use| i could use| for me}",
    "{where|what url|what address|which path} {should|do|must} i {point|use|type|enter|configure|give|send|set} {for|to get|to reach|to see|to open} {N}",
    "{the|} {url|address|link|path|location|route} {of|for|to} {N}{| please| is what}",
    "{no idea|i have no idea|i don't know|i forgot|can't remember|i cannot see} where {N} {is|are|lives|can be found}",
    "{where|how} {can|could|may} {N} be {found|opened|reached|seen|accessed|used|visited}",
    "{N}{, where| where is it|, please|: where|, which url|, what address| url please| address}",
)
FEATURES = {
    "stream": "streaming|streamed answers|token streaming|live output|streamed replies|server-sent events",
    "websocket": "websockets|a websocket|a web socket|a websocket api",
    "tools": "tools|function calling|tool calls|function tools|custom functions|my own functions|tool calling",
    "redis": "redis|a redis server|our redis",
    "database": "postgres|postgresql|a postgres database|another database|sqlite",
    "metrics": "prometheus|metrics|prometheus metrics|grafana",
    "swagger": "swagger|api documentation|interactive documentation|a page to try the api",
    "redoc": "redoc",
    "openapi": "openapi|an openapi schema|an api schema",
    "health": "health checks|a health check|a liveness probe",
    "sdk": "the openai sdk|the openai package|the openai client|openai-python|the openai library|the official openai sdk|the node sdk",
    "model_real": "ollama|real models|bigger models|other models|llama|qwen|mistral|hugging face models|a model of my choice|lm studio|my own model",
    "cancel": "cancelling runs|stopping a run|aborting a run",
    "key_revoke": "revoking keys|key expiry|expiring keys|disabling a key",
    "key_more": "several keys|more than one api key|keys for colleagues",
    "test": "tests|a test suite",
    "bench": "a benchmark|benchmarks|a performance test",
    "lint": "a linter|lint checks",
    "chat": "a chat page|a chat|a chat interface",
    "admin": "an admin|an admin area|a control panel",
}
FEATURE_PHRASES = (
    "{does|can|will|could} {sovereign|it|this|the server|the platform|this server|this product} {support|offer|have|handle|provide|do|include|know|speak|work with|deal with|use|allow} {N}",
    "{is|are} {N} {supported|possible|available|allowed|included|there|working|built in|an option|planned}{| here| in sovereign| too| yet}",
    "{can|could|may} {i|we|my app|my team|my program|one} {use|have|get|do|try|combine it with|rely on|set up|enable|turn on} {N}{| here| with sovereign| with it| with this server| too|, and how}",
    "{i want|i need|we need|we want|i'd like|we would like|i would like to use|we already use|we use|i plan to use} {N}{|, how|, is that possible|. how do i do that|. does that work|, what do i do|. can sovereign do that|. what must i set}",
    "{what about|how about|and|tell me about|something about|anything on|info on|explain|details about|how do i go about|question about} {N}",
    "{how|where} {do|can|would|should} {i|we} {turn on|enable|set up|configure|activate|use|get|try|start with|begin with} {N}",
    "{how does|how do|how is|how are} {N} {work|done|set up|configured|used|enabled}{| here| in sovereign}",
    "{show me|give me|is there|do you have} {an example|a hint|an explanation|help|instructions|documentation} {for|of|on|about|with} {N}",
    "{instructions|help|documentation|setup|configuration|an example|how to|settings} {for|on} {N}",
)


GERUND = "making|creating|building|adding|setting up|designing|defining|writing"
MORE: dict[str, tuple[str, ...]] = {
    "what": (
        "{i|we|my colleague} {found|discovered|came across|opened|landed on|was sent to|got a link to|happened upon|ran into} {this|this page|this site|sovereign|this project|your page} {by chance|today|just now|}{,|.} {what is it|what do i see here|what does it do|what is this for|what is it about|what do you do|can you explain it|what is it good for}",
        "{do i|do we|would we|does one|must i|can i} {run|host|install|operate} {it|this|sovereign|the platform} {myself|ourselves|on our own servers|at home|in house|on my own computer|in our own rack} {or is it|or do you host it|or is that|or does it run} {in the cloud|hosted|a service|somewhere else|elsewhere|}",
        "{where does|on whose machines does|on which machines does} {it|this|sovereign|the platform} {run|live|work}{|, at your place or mine|, in the cloud or here}",
        "{which|what} {api|protocol|dialect|language|interface|standard} {does it|does this server|does this platform|do you|does the server} {speak|talk|follow|implement|understand}",
        "{sell|pitch|advertise} {me|} {sovereign|this product|this platform}{| in two sentences| in a minute}",
        "{so|ok,|well,|and|now} what {exactly|really|actually|precisely} {is this|does it do|is this thing|is this product|does this do|are we looking at}",
    ),
    "start": (
        "{bring|get|start|set|fire} {it|the platform|the server|the services|everything|the software} {up|going|running}{| please|, how|. how do i do that}",
        "{what|which command|what command|which single command} {brings|gets|sets|puts} {it|the server|the platform|everything|the whole platform|all of it} {up|running|in motion|to life|online}",
        "{i have|i've got|we have|here is} {the source|the code|a fresh clone|the repo|the files|a checkout} {here|on my disk|on my laptop|in front of me}{,|.} {what|and} {do i do|is the next step|comes next|now|should i run}",
        "{how is|how are} {sovereign|the server|the platform|the services} {started|launched|installed|brought up|set up}",
    ),
    "assistant": (
        "{walk me through|guide me through|help me with|teach me|talk me through|i need help with|explain|describe|tell me about} {"
        + GERUND
        + "} {an assistant|a new assistant|my first assistant|assistants|a bot|my own bot} {in the admin|with the admin|here|step by step|as a beginner|without code|}",
        "{can|could|may|is it possible for} {an analyst|someone without coding skills|my boss|anybody|a manager|people who do not code|a normal person|the sales team} {to|} {set up|make|create|build|add|configure} {an assistant|assistants|a bot|their own assistant}{| and how|, how|. how}",
        "{is|does} {making|creating|building|adding} {an assistant|a bot|assistants} {hard|difficult|need programming|require code|complicated|possible without code|easy}",
        "{what do i|which button do i|what must i|where do i} {click|press|choose|select|fill in} {to|for} {add|make|create|get|a new} {an assistant|a new assistant|assistant|a bot}",
        "{i want|we want|i would like|my team wants|we need} {a bot|an assistant|a helper|our own assistant|a support bot|a chatbot|my own helper} {that answers questions about our products|for my team|for our documents|for customers|here|in sovereign|that knows our rules|}{|, what are the steps|. how do i build it|. where do i start|, how do i make one}",
    ),
    "assistant_api": (
        "{can|could|how can|how do|how would} {i|my script|a program|our backend|my code|we} {create|make|add|define|register} {an assistant|assistants|a new assistant} {without the admin|from a script|in python|by a request|over http|with a post|programmatically|from our backend|instead of clicking}",
        "{what|which} {call|request|post|endpoint|route} {makes|creates|adds|registers|defines} {an|a new|another} assistant",
    ),
    "key_first": (
        "{where|when|how} {does|did|do|will} {the|my|our} {first|initial|very first|} {api key|key} {come from|appear|show up|get made|get printed|get created}",
        "{i|we} {started|launched|installed} {it|sovereign|the server|everything}{,|;|.| and} {where is|where was|where do i see|where did it print|now where is} {the|my|our} {api key|key}",
        "{my|the|our} {program|client|sdk|script|app} {needs|asks for|wants|requires} {a key|an api key|a token}{, where do i get one|. where from|, how do i get it|. where is it|}",
    ),
    "key_more": (
        "{in|on|under} which {part|page|menu|section} of the admin {are|do i find|do i make|can i add|are there} {api keys|keys|new keys} {created|made|added|managed|}",
        "{where|how} are {api keys|keys|more keys|new keys|additional keys} {made|created|managed|added|generated|issued} {in the admin|by an admin|here|}",
        "{can|could} {my colleague|everyone|another person|each program|every developer} {have|get} {an own key|a key too|an api key|a separate key}{|, how|. how}",
    ),
    "key_lost": (
        "{why|how come} {doesn't|does|won't} the {admin|admin page|list} {not|} {show|display|reveal} {me|} the {key|whole key|full key|complete key|api key}{| any more| anymore| again| to me}",
        "{can|could|may} {i|we|an admin} {look up|view|reveal|print|read out|retrieve} {the value of|} {an existing key|my existing api key|an old key|a key i made earlier|my key}{| later| again| afterwards}",
    ),
    "key_revoke": (
        "{how do i|how can i|i want to|can i|please help me to} {get rid of|throw away|take back|switch off|make useless|retire|remove} {an old key|a key|my old api key|an api key|the key of a former colleague|a key nobody uses}",
        "{do|will|can|does|are} {api keys|keys|a key|my key|they|the keys} {ever|} {expire|expire by themselves|run out|get old|stop working|end some day|have an expiry}",
        "{what do i do|what can i do|what now}{,| if| when} {a key leaked|somebody stole my key|my key is public|a key is compromised|a key got out|the key was posted online}",
    ),
    "model_real": (
        "{we|i|my company} {already|} {have|run|host|operate|use} {ollama|an ollama server|a vllm server|lm studio|an openai compatible server|a gpu server|our own model server} {at work|at home|here|on another machine|}{,|.|;} {can|could|does|will} {sovereign|it|this|the platform} {use|talk to|work with|connect to} {it|that|that server}",
        "{how do i|how can i|how to|i want to|let me} {replace|swap|change|exchange|trade} {you|the demo model|this model|the small model|the starter model|the toy} {with|for|by} {a real one|a serious one|a bigger one|something better|a proper model|llama|qwen|a grown up model|a good model}",
        "{your answers are|this model is|you are|the bot is} {weak|too short|poor|simple|limited}{,|.|;} {how can i|how do i|can i|i want to} {plug in|use|get|connect|load|install} {a bigger one|a bigger model|a better model|a real model|something smarter|a real llm}",
        "{what|which setting|which variable} {do i|must i|should i|can i} {set|change|use|edit} {to|so that it can|in order to} {load|run|use|get} {a hugging face model|a model from hugging face|a bigger model|a real model|another model|a local model|my model} {with vllm|in vllm|}",
    ),
    "run": (
        "{what|tell me what|explain what} {happens|will happen|does sovereign do|is done} {when|after|once|if} {i create a run|i start a run|a run is created|a run is started|a run begins|you create a run}",
        "{why|when|for what} do i {need|create|start|use} a run",
    ),
    "one_run": (
        "{can|could|may|is it allowed that} {two|three|several|many} runs {work|be active|be started|go on|run} {on|in} {the same|one|a single} thread{| at once| together| at the same time}",
        "{how many|what number of} runs {may|can|could|are allowed to} {be active|work|run|be open|be going on} {per|on a|in a|on one|for each} thread{| at once| at a time}",
        "{it says|the api says|i am told|the error says} {that|} {the thread is busy|there is an active run|the thread already has a run|a run is already active}{|, why|. why is that|, what now}",
    ),
    "data": (
        "{what|which} {folder|directory|path|files} {do i|should i|must i|would i} {back up|save|copy|keep|mount|protect}{| regularly| for safety| in a backup}",
        "{move|put|relocate|store} {the data|my data|the data directory|everything} {elsewhere|on another disk|in another folder|somewhere else}{|, how|. how do i do that}",
        "{where|in what folder|on which path} {does|do} {sovereign|it|the server} {keep|put|hold|save|leave} {its|the|all the|my} {data|files|stuff|uploads|database}",
    ),
    "stop": (
        "{how can i|how do i|how to|i want to|please tell me how to} {stop|end|quit|close} {the server|sovereign|the platform|it|everything} {again|now|cleanly|safely|for today|when i am done|properly}",
        "{bring|take|shut|put|tear} {it|the server|the platform|everything|sovereign} {down|to sleep|offline}{|, how|. how|, please}",
    ),
    "model": (
        "{which|what} model {is|am i|are we} {answering|talking|responding|speaking|writing}{| me| to me| to| to with| with}{| right now| at the moment| here| currently}",
        "{who|what|which llm} {generates|writes|produces|computes} {your|these|the} {answers|words|texts|replies}",
    ),
    "trained": (
        "{how|where|on what|by whom} {did|was|were} {you|it|this model|the demo model} {learn|trained|get trained|learn to talk|learn this|made}{| exactly| anyway}",
    ),
    "simple": (
        "{why|how come} {are|is} {your|the|these} {answers|replies|answer|sentences|reply} {so|always so|that|this} {simple|short|plain|limited|basic|poor|stiff|repetitive|bad}",
        "{why|how come} do you {only|always} {say|answer|know|repeat} {so little|the same|that|short things|a few things}",
    ),
    "gpu": (
        "{what|which|how much} {hardware|computer|machine|cpu|memory|processor} {does|do|would|will} {the demo model|the demonstration model|the starter model|you|this model|it|i} {need|require|want|run on|use}",
        "{must|should|do|would} {i|we} {have|buy|own|rent|need} {a gpu|a graphics card|an nvidia card|special hardware|a big server}{| for this| for it| to run it| to try it|, or is a cpu enough}",
    ),
    "who": (
        "{hi|hello|hey|good morning}{,|!|.| there,} {who am i talking to|who are you|who is this|what's your name|what is your name|who is speaking|what are you|who am i speaking with}",
        "{who or what are you|who's there|who's this|what am i talking to|whom am i talking to|what do they call you|do you have a name|have you got a name|and you are|and who are you}",
    ),
    "tools": (
        "{my|our|the|an} {assistant|bot|agent} {should|shall|must|needs to|has to|ought to} {call|use|run|trigger|execute|ask} {my own code|our code|my program|a function of mine|our api|my database|our systems|an external service}{|, how|. how does that work|, how does that work|. is that possible|, what do i do}",
        "{give|offer|hand|attach|add} {tools|functions|a tool|a function} to {an assistant|my assistant|the assistant|my bot}{|, how|. how|, please}",
    ),
    "stream": (
        "{what|which parameter|what flag|which argument} {do i|must i|should i|can i} {pass|send|set|give|add|use} {so that|to make|such that} the {answer|reply|text|output} {comes|come|arrives|arrive|appears|appear} {piece by piece|word by word|in pieces|live|token by token|at once while it is made}",
        "{can|could|may|how do|how can} i {get|see|have|receive|read} the {tokens|words|pieces|text} {as they are generated|as they come|while it is generated|as soon as they exist|one by one|during the run}",
    ),
    "sdk": (
        "{does|will|can} {the|my|our|an} {official|usual|normal|existing|current|old|standard|} {openai|} {package|library|sdk|client|code} {work|run|connect|talk}{| here| with this| with sovereign| against this server| unchanged}",
        "{what|which line|how much} {do i|must i|needs to be|has to be|should be} {change|changed|edit|replace|different} in {my existing|my|our|the current} {openai|} {client|code|app|program|setup}",
    ),
    "requires_action": (
        "what {does|is} {the status|the state|it mean that my run is in|} requires_action {mean|say|tell me|about|}",
    ),
    "expire": (
        "{why|how come} {is|was|has|did} my run {expired|expire|marked expired|in the state expired|shown as expired}",
        "{when|after how long|how soon|after how many minutes} {does|will|would} {a run|my run|the run|it} {time out|expire|be ended|be cut off|give up}",
    ),
}


def generic() -> dict[str, tuple[str, ...]]:
    """Phrases by topic."""
    made: dict[str, tuple[str, ...]] = {}
    for table, wordings in ((PAGES, list(PAGE_PHRASES)), (FEATURES, list(FEATURE_PHRASES))):
        for topic, nouns in table.items():
            made[topic] = made.get(topic, ()) + tuple(phrase.replace("{N}", "{" + nouns + "}") for phrase in wordings)
    for topic, phrases in MORE.items():
        made[topic] = made.get(topic, ()) + phrases
    return made
