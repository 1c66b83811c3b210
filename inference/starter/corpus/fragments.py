# ruff: noqa: E501
"""Shared fragments of the phrase grammar: how people begin and shape their questions."""

FRAGMENTS = {
    "how_i": (
        "how do i|how can i|how do i|how can i|how would i|how should i|how do we|how can we|how could i|how do you|how does one"
        "|what do i have to do to|what must i do to|what is the way to|what's the way to|what is the best way to|how am i supposed to"
        "|how is it possible to|what are the steps to|what steps are needed to|tell me how to|show me how to|explain how to"
        "|can you tell me how to|can you show me how to|could you explain how to|i want to|i would like to|i'd like to|i need to"
        "|help me to|help me|how to|how to|is there a way to|is it possible to|can i|can we|what's the easiest way to|where do i go to"
        "|i don't know how to|i am trying to|we want to|i have to|what should i do to|please explain how i can|teach me how to"
        "|what is needed to|how might i|any idea how to|do you know how to|instructions to|guide me to|let me know how to"
        "|where do i click to|what does it take to|what's the trick to|is it hard to|walk me through how to|please walk me through how to"
        "|which button do i press to|what is the procedure to|can someone explain how to|where do i start if i want to|i was told i could"
        "|is there documentation on how to|what's the command to|how exactly do i|how on earth do i|how quickly can i|is it easy to|i'd love to"
        "|could you help me|what is the recommended way to|what's the right way to|how do people|my task is to|i have been asked to|let's"
        "|who can help me|am i able to|would it be possible to|what do we need to|remind me how to|once more, how do i|how do you normally"
    ),
    "where_is": (
        "where is|where's|where do i find|where can i find|where can i see|where can i open|where do you keep|what is the address of"
        "|what's the address of|what is the url of|what's the url of|what is the url for|give me the url of|give me the link to|show me"
        "|what is the path of|what path has|which page has|which page is|under which address is|under which path is|at which url is"
        "|at which address is|how do i open|how do i get to|how do i reach|how can i open|how can i reach|i am looking for"
        "|i'm looking for|i can't find|i cannot find|point me to|take me to|where will i find|where would i find|where do i go for"
        "|tell me where to find|tell me the address of|can you tell me where to find|do you know where i find|where should i look for"
        "|what's the path to|is there|do you have|which url leads to|which address leads to|i need|i want to see|i want to open"
        "|where do i look for|what is the location of|link to|url of|address of|where do i see|which url has|where lives|open"
    ),
    "what_is": (
        "what is|what's|what is|what's|what are|what exactly is|what does one mean by|explain|please explain|can you explain"
        "|could you explain|tell me about|tell me something about|describe|please describe|define|what do you mean by"
        "|what is meant by|i don't understand|help me understand|give me a short explanation of|what do you call|what can you say about"
        "|i want to know what is|i would like to know more about|more about|say something about|how would you describe|explain to me"
    ),
    "which_cmd": (
        "which command|what command|which make target|what is the command that|which command line|what should i type so that it"
        "|tell me the command that|give me the command that|is there a command that|what do i type that"
    ),
    "which_env": (
        "which environment variable|which variable|which setting|what environment variable|what setting|which env var|which option"
        "|what variable|what option|is there a setting that|is there an environment variable that|is there an option that"
        "|tell me the setting that|what is the setting that|what's the variable that"
    ),
    "sov": "sovereign|sovereign|it|this server|the server|the platform|this platform|this product|this thing|the system|this software|this app|the app",
    "proj": "sovereign|sovereign|it|this|the server|the platform|the project|the software|the whole thing|everything|this thing|the system|the app|the service",
    "me": "me|us|my team|my company|my colleagues|somebody|a colleague|a friend|my project",
    "machine": "machine|computer|laptop|server|pc|box|hardware|desktop|workstation|own computer|own server|own machine",
}
