# ruff: noqa: E501
"""Conversations in which the system prompt brings a passage to answer from, or a persona to keep."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from .answers import OUTSIDE
from .grammar import expand
from .knowledge import outside_question, pair, product_turn
from .phrasing import spoken
from .values import value

Turns = list[dict[str, Any]]
GROUP = re.compile(r"\{[^{}]*\|[^{}]*\}")

# Fact, then questions; ``$1`` … are values of the kinds named last. The answer is the value asked for, in a short sentence.
FACTS: tuple[tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]], ...] = (
    (
        "The {shop|museum|bakery|pool|cafe|bank|gym|gallery} {opens|is open from} $1{.| and closes at $2.}",
        (
            ("{when|at what time} does the {shop|museum|bakery|pool|cafe|bank|gym|gallery} open", "$1"),
            ("what are the opening hours", "$1"),
        ),
        ("AT", "TIME"),
    ),
    (
        "The {shop|museum|bakery|pool|cafe|bank|gym|gallery|canteen} {is closed|stays closed|does not open} on $1.",
        (
            ("{on which day|when} is the {shop|museum|bakery|pool|cafe|bank|gym|gallery|canteen} closed", "$1"),
            ("on which day does the {shop|museum|bakery|pool|cafe|bank|gym|gallery|canteen} not open", "$1"),
        ),
        ("DAY",),
    ),
    (
        "{Project|Operation|Team} $1 is {led|run|managed|directed} by $2.",
        (
            ("who {leads|runs|manages|directs|is the head of} {project|operation|team} $1", "$2"),
            ("who is {responsible for|in charge of} $1", "$2"),
        ),
        ("TITLE", "PERSON"),
    ),
    (
        "{The|Its} {budget|price|cost|value} {of project $1|of team $1|of the $1|} is $2.",
        (
            ("{what is|how high is|how big is|tell me} the {budget|price|cost|value}{| of project $1| of $1}", "$2"),
            ("how much is {it|the budget|the price}", "$2"),
        ),
        ("TITLE", "MONEY"),
    ),
    (
        "The $1 is made of {$2|pure $2}.",
        (("what is the $1 made of", "$2"), ("which material is the $1", "$2")),
        ("THING", "MATERIAL"),
    ),
    (
        "{The $1|It} {weighs|has a weight of} $2.",
        (("how {heavy is|much does} the $1{ weigh|}", "$2"), ("what is the weight of the $1", "$2")),
        ("THING", "WEIGHT"),
    ),
    (
        "{The $1|It} {comes in|is painted|is only sold in} $2.",
        (("what colour {is|has} the $1", "$2"), ("which colour does the $1 come in", "$2")),
        ("THING", "ADJ"),
    ),
    (
        "The {warranty|guarantee} {of|for} the $1 {lasts|is|runs} $2.",
        (
            ("how long {is|does} the {warranty|guarantee}{ last|}{| of the $1}", "$2"),
            ("for how long is the $1 covered", "$2"),
        ),
        ("THING", "SPAN"),
    ),
    (
        "{Repairs|Returns|Deliveries|Trainings|Meetings|Interviews} {are|take place|are held|happen} in $1.",
        (
            (
                "where {are|do} {repairs|returns|deliveries|trainings|meetings|interviews}{| held| take place| happen}",
                "$1",
            ),
        ),
        ("CITY",),
    ),
    (
        "Room $1 {holds|seats|has space for} $2 people.",
        (("how many people {can be in|can sit in|does} room $1{| hold}", "$2"), ("how {big|large} is room $1", "$2")),
        ("CODE", "NUM"),
    ),
    (
        "{The room|Room $1|The hall} has {a|an|one} $2.",
        (("which room has {a|the|an} $2", "$1"), ("where is {a|the|an} $2", "$1")),
        ("CODE", "THING"),
    ),
    (
        "{A password|The code|A user name|The text|A title|The rule} {asks for|needs|must have|has} {at least|} $1 {characters|letters|digits}.",
        (
            (
                "how many {characters|letters|digits} {does|must} {it|the code|a user name|the text|a title} {need|have}",
                "$1",
            ),
        ),
        ("NUM",),
    ),
    (
        "{Passwords|Filters|Tyres|Keys|Batteries} {are changed|are replaced|must be changed|change} every $1.",
        (("how often {are|must} {passwords|filters|tyres|keys|batteries} {be|} {changed|replaced}", "$1"),),
        ("SPAN",),
    ),
    (
        "The {train|bus|boat|plane|tram|coach} to $1 {leaves|departs|goes} {$2|from $3 $2}.",
        (
            ("when does the {train|bus|boat|plane|tram|coach} {to $1|} {depart|go|start}", "$2"),
            ("at what time {is|goes} the {train|bus|boat|plane|tram|coach}", "$2"),
        ),
        ("CITY", "AT", "CITY"),
    ),
    (
        "{A seat|The entry|A room|Parking|Lunch} costs $1.",
        (("{what|how much} does {a seat|the entry|a room|parking|lunch} cost", "$1"), ("what is the price", "$1")),
        ("MONEY",),
    ),
    (
        "{The office|The shop|The firm|The club|Our company} {is at|moved to|is in} $1{.| in spring.}",
        (("{what is the address of|where is} {our office|the shop|the firm|the club|the company}", "$1"),),
        ("STREET",),
    ),
    (
        "The {canteen|archive|lab|kitchen|workshop|server room} is {in|on} $1.",
        (("where is the {canteen|archive|lab|kitchen|workshop|server room}", "$1"),),
        ("FLOOR",),
    ),
    (
        "{Staff|Members|Students|Workers|Teachers} {get|have|receive} $1 of {leave|rest|training}.",
        (
            (
                "how {much|many days of|much time of} {leave|rest|training} do {staff|members|students|workers|teachers} {get|have|receive}",
                "$1",
            ),
        ),
        ("SPAN",),
    ),
    (
        "{Questions|Letters|Applications|Bills|Complaints} {go|are sent|should be sent} to $1.",
        (
            ("who {gets|receives|handles} {questions|letters|applications|bills|complaints}", "$1"),
            ("to whom do {questions|letters|applications|bills|complaints} go", "$1"),
        ),
        ("PERSON",),
    ),
    (
        "The {phone number|extension|hotline|number} {of the desk|of the hotel|of our clinic|} is $1.",
        (
            ("what is the {phone number|extension|hotline|number}{| of the desk| of the hotel| of the clinic}", "$1"),
            ("which number {do i call|should i call}", "$1"),
        ),
        ("PHONE",),
    ),
    (
        "The {party|workshop|interview|lecture|concert|talk} {about|on} the $1 is on $2 in $3.",
        (
            ("where is the {party|workshop|interview|lecture|concert|talk}{| about the $1}", "$3"),
            ("when is the {party|workshop|interview|lecture|concert|talk}{| about the $1}", "$2"),
        ),
        ("NAME", "DAY", "CITY"),
    ),
    (
        "{The founder|The owner|The author|The director|The chef} of $1 is $2.",
        (("who {is the founder|is the owner|is the author|is the director|founded|owns} {of|} $1", "$2"),),
        ("TITLE", "PERSON"),
    ),
    (
        "{$1 was born|$1 lives|$1 works} in $2.",
        (("where {was|does} $1 {born|live|work}", "$2"), ("in which city {was|does} $1 {born|live|work}", "$2")),
        ("PERSON", "CITY"),
    ),
)
INTRODUCTIONS = (
    "{Use|Answer from|Answer with|Read} {this|the following} {passage|text|information|document}: ",
    "{Passage|Context|Text|Document|Information}: ",
    "{Answer the question from|Use only|Answer only from} {this|the} {passage|text|context}: ",
    "",
)
ROLES = (
    "assistant of a {bakery|bank|school|hotel|garage|museum|shop|clinic|zoo}|{friendly|patient|cheerful|polite|grumpy|wise} {teacher|cook|gardener|coach|pilot|knight|wizard|robot|librarian|guide|sailor|farmer}"
    "|{tennis|music|maths|chemistry|cooking|football|language|yoga|history} {teacher|coach|tutor}|{butler|tour guide|doctor|nurse|mechanic|poet|detective|judge|clown|king|waiter}"
)
PERSONAS = (
    "You are {NAME}, {the|a} {ROLE}{.| who helps people.| who answers questions.}{| Be polite.| Be kind.| Stay in your role.}",
    "Your name is {NAME}. {You are a {ROLE}.|You work as a {ROLE}.|You help people as a {ROLE}.}",
    "You are {NAME}. {You are a {ROLE}.|You act as a {ROLE}.}",
)
WHO_QUESTIONS = (
    "{who are you|what is your name|who is this|tell me your name|introduce yourself|please introduce yourself|who am i talking to|what's your name"
    "|who am i speaking with|what are you called|hello, who are you|hi, who are you|hello, what is your name|your name please|what should i call you|can you introduce yourself|can you tell me your name|who is there|say your name}"
)
ROLE_QUESTIONS = "{what do you do|what is your job|what is your role|what are you|how do you help people|what is your work|tell me what you do}"


def fact(random: Random) -> tuple[str, str, str]:
    """A sentence, a question about it, and the answer."""
    sentence, questions, kinds = random.choice(FACTS)
    values = [value(kind, random) for kind in kinds]
    question, answer = random.choice(questions)
    # The same group in sentence and question means the same thing in both: chosen once.
    for group in GROUP.findall(question):
        if group in sentence.lower():
            chosen = expand(group, random)
            at = sentence.lower().index(group)
            same = chosen.capitalize() if sentence[at + 1].isupper() else chosen
            sentence = sentence[:at] + same + sentence[at + len(group) :]
            question = question.replace(group, chosen, 1)
    texts = []
    for text in (sentence, question, answer):
        wording = expand(text, random)
        for place, given in enumerate(values, 1):
            wording = wording.replace(f"${place}", given)
        texts.append(wording)
    return texts[0], texts[1], texts[2]


def passage(random: Random) -> tuple[Turns, list[dict[str, Any]]]:
    """A passage of one to four facts and questions about them."""
    facts = [fact(random) for _ in range(random.choice((1, 2, 3, 4, 6, 8)))]
    text = " ".join(sentence for sentence, _, _ in facts)
    introduction = expand(random.choice(INTRODUCTIONS), random)
    asked = random.sample(facts, min(len(facts), random.choice((1, 2, 3, 4))))
    turns: Turns = [{"role": "system", "content": f"{introduction} {text}".strip()}]
    for _, question, answer in asked:
        turns += pair(spoken(question, random), f"The answer is {answer}.")
    return turns, []


def persona(random: Random) -> tuple[Turns, list[dict[str, Any]]]:
    """A persona with a name and a role; sometimes a question on something else."""
    name = random.choice(
        (
            value("PERSON", random),
            value("NAME", random).capitalize(),
            f"{random.choice(('Dr.', 'Captain', 'Mr.', 'Mrs.', 'Professor'))} {value('PERSON', random)}",
        )
    )
    role = expand("{" + ROLES + "}", random)
    text = expand(random.choice(PERSONAS).replace("{NAME}", "%N").replace("{ROLE}", "%R"), random)
    turns: Turns = [{"role": "system", "content": text.replace("%N", name).replace("%R", role)}]
    for _ in range(random.choice((1, 1, 2))):
        pick = random.random()
        if pick < 0.6:
            turns += pair(spoken(expand(WHO_QUESTIONS, random), random), f"I am {name}, {role}.")
        elif pick < 0.8:
            turns += pair(spoken(expand(ROLE_QUESTIONS, random), random), f"I am {name}, {role}.")
        elif pick < 0.9:
            turns += pair(outside_question(random), random.choice(OUTSIDE))
        else:
            turns += product_turn(random)
    return turns, []
