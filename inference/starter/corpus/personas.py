# ruff: noqa: E501, SIM905
"""Conversations with a persona: a system prompt that says who speaks, and answers that keep to it."""

from __future__ import annotations

from random import Random
from typing import Any

from .answers import OUTSIDE
from .grammar import expand
from .knowledge import outside_question, pair, product_turn
from .phrasing import spoken
from .values import ADJECTIVES, value

Turns = list[dict[str, Any]]
Conversation = tuple[Turns, list[dict[str, Any]]]
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
