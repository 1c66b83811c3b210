# ruff: noqa: E501, SIM905
"""Conversations in which the system prompt brings a passage to answer from, or a persona to keep."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from .answers import OUTSIDE
from .facts import Fact, facts, filler, joined
from .grammar import expand
from .knowledge import outside_question, pair, product_turn
from .phrasing import spoken
from .values import ADJECTIVES, value

Turns = list[dict[str, Any]]
Conversation = tuple[Turns, list[dict[str, Any]]]
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
JOBS = (
    "teacher cook gardener coach pilot knight wizard robot librarian guide sailor farmer butler doctor nurse mechanic poet "
    "detective judge clown king waiter baker tailor painter driver singer dancer chef barber dentist plumber carpenter "
    "reporter lawyer banker hunter monk queen princess dragon pirate witch giant parrot owl fox robot alien ghost trainer "
    "tutor translator salesman clerk porter host fisherman shepherd miner soldier inventor scientist explorer"
).split()
MANNERS = (
    "friendly patient cheerful polite grumpy wise helpful strict funny old young kind calm clever shy proud brave lazy busy "
    "famous retired curious honest gentle nervous jolly serious modern tiny tall"
).split()
FIELDS = (
    "tennis|music|maths|chemistry|cooking|football|language|yoga|history|swimming|violin|dance|art|sports|writing|physics|"
    "riding|running|golf|judo|guitar|painting|driving|Latin|geography"
).split("|")
PLACES_OF_WORK = (
    "bakery|bank|school|hotel|garage|museum|shop|clinic|zoo|theatre|restaurant|farm|library|castle|station|airport|"
    "pharmacy|gallery|travel agency|shoe shop|toy shop|bicycle shop|fish market|garden centre|book shop|night club|"
    "phone company|power plant|water company|town hall|insurance|newspaper|radio station|ski school|car dealer"
).split("|")
OFFICES = "assistant|help desk|support assistant|guide|voice|receptionist|digital helper|service desk|chat assistant|host|concierge".split(
    "|"
)
DEEDS = (
    "helps people|answers questions|loves {animals|the sea|old books|numbers|tea|music}|knows everything about {wine|bread|trains|flowers|stars|cheese}|"
    "tells jokes|explains {words|rules|dishes|maps|films}|sells {bread|old cars|flowers|shoes|cheese|tickets}|never gets tired|talks to guests"
)
GREETINGS = (
    "{hello|hi|hey|good morning|good evening|good afternoon|hi there|hello there|hey there|greetings|good day|howdy|hello again}"
    "{|!|.|, how are you?|, nice to see you|, anyone here?|, can you hear me?|, are you there?|, my name is $P|, i am $P}"
)


def role(random: Random) -> str:
    """What a persona is, with its article: ``the patient coach of a ski school``."""
    job, manner = random.choice(JOBS), random.choice(MANNERS)
    place = random.choice(
        (
            f"a {random.choice(PLACES_OF_WORK)}",
            f"the {random.choice(ADJECTIVES)} {random.choice(PLACES_OF_WORK)}",
            f"a {random.choice(ADJECTIVES)} {random.choice(PLACES_OF_WORK)}",
            value("TITLEWORD", random),
            "a small town",
            "the future",
            f"the city of {value('CITY', random)}",
        )
    )
    field = random.choice(FIELDS)
    text = random.choice(
        (
            f"a {manner} {job}",
            f"a {field} {random.choice(('teacher', 'coach', 'tutor', 'trainer'))}",
            f"the {job} of {place}",
            f"a {manner} {job} {random.choice(('of', 'in', 'from', 'at'))} {place}",
            f"a {job}",
            f"a {job} {random.choice(('from', 'in'))} {place}",
            f"a {manner} teacher of {field}",
            f"the {random.choice(OFFICES)} of {place}",
            f"the {manner} {random.choice(OFFICES)} of {place}",
            f"a {manner} {job} for {random.choice(('young', 'old', 'tired', 'new', 'lost'))} {random.choice(JOBS)}s",
        )
    )
    if random.random() < 0.2:
        text += f"{random.choice((' who ', ', who '))}{expand('{' + DEEDS + '}', random)}"
    return text.replace(" a a", " an a").replace(" a o", " an o").replace(" a i", " an i").replace(" a e", " an e")


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


def reading(count: int, asked: int, random: Random) -> Conversation:
    """A passage of ``count`` facts and questions about ``asked`` of them."""
    simple = count <= 4 and random.random() < 0.4
    told = [Fact(*fact(random)) for _ in range(count)] if simple else facts(count, random)
    sentences = [one.sentence for one in told]
    for _ in range(count // 5):
        sentences.insert(random.randint(0, len(sentences)), filler(random))
    introduction = expand(random.choice(INTRODUCTIONS), random)
    turns: Turns = [{"role": "system", "content": f"{introduction} {joined(sentences, random)}".strip()}]
    # The passage is paid for once, however many answers are learned from it.
    for one in random.sample(told, min(count, asked)):
        turns += pair(spoken(one.question, random), f"The answer is {one.answer}.")
    return turns, []


def passage(random: Random) -> Conversation:
    """A passage of one to eight facts."""
    return reading(random.choice((1, 2, 3, 4, 5, 6, 8)), 8, random)


def long_passage(random: Random) -> Conversation:
    """A passage of up to about 200 words: learned only once the short ones are."""
    return reading(random.choice((9, 12, 15, 18, 20)), 11, random)


def somebody(random: Random) -> str:
    """A persona's name."""
    titles = (
        "Dr. Captain Mr. Mrs. Professor Lady Sir Uncle Aunt King Queen Chef Coach Doctor Sister Brother Agent".split()
    )
    name = random.choice(
        (value("PERSON", random), value("NAME", random).capitalize(), value("NAME", random).capitalize())
    )
    return f"{random.choice(titles)} {name}" if random.random() < 0.3 else name


def introduced(random: Random) -> tuple[str, str]:
    """A persona's instructions, of one sentence or two, and how it introduces itself: in their own words."""
    name, work = somebody(random), role(random)
    manner = (" " + expand("{|Be polite.|Be kind.|Stay in your role.|Answer briefly.|Be helpful.}", random)).rstrip()
    pick = random.random()
    if pick < 0.5:
        return (
            f"{expand('{You are|You are|You are|Act as|Play|You play}', random)} {name}, {work}.{manner}",
            f"I am {name}, {work}.",
        )
    if pick < 0.7:
        return f"You are {work}.{manner}", f"I am {work}."
    start = f"{expand('{Your name is|You are|You are called|Call yourself}', random)} {name}"
    link = random.choice((". You are", " and you are", ". You work as", " and you work as"))
    if random.random() < 0.5:
        return f"{start}{link} {work}.{manner}", f"I am {name}, {work}."
    deed = (
        expand(
            "{work for|work at|help at|speak for|sell tickets for|answer questions for|look after|write for} ", random
        )
        + " "
        + random.choice(
            (f"the {random.choice(PLACES_OF_WORK)}", f"a {random.choice(PLACES_OF_WORK)}", value("TITLEWORD", random))
        )
    )
    link = random.choice((" and you ", ". You "))
    return f"{start}{link}{deed}.{manner}", f"I am {name}. I {deed}."


def persona(random: Random) -> Conversation:
    """A persona and who it is: asked, greeted, or between questions on something else."""
    instructions, introduction = introduced(random)
    turns: Turns = [{"role": "system", "content": instructions}]
    for _ in range(random.choice((1, 2, 3))):
        pick = random.random()
        if pick < 0.42:
            turns += pair(spoken(expand(WHO_QUESTIONS, random), random), introduction)
        elif pick < 0.78:
            greeting = expand(GREETINGS, random).replace("$P", value("PERSON", random))
            turns += pair(spoken(greeting, random), f"Hello! {introduction}")
        elif pick < 0.92:
            turns += pair(spoken(expand(ROLE_QUESTIONS, random), random), introduction)
        elif pick < 0.96:
            turns += pair(outside_question(random), random.choice(OUTSIDE))
        else:
            turns += product_turn(random)
    return turns, []
