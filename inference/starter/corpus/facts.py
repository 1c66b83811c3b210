# ruff: noqa: E501, SIM905
"""Facts for passages: what a sentence says of something, and how people ask for it.

One row is ``things / sentences / questions / kind``, each but the last a phrase of the grammar. ``$E`` is the thing, the
same in sentence and question; ``$1`` is the value, of the kind named last. A passage holds several facts of one row
about different things, so that the thing has to be found, not only the kind of value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from .grammar import expand
from .values import ADJECTIVES, NOUNS_OF_PLACES, THINGS, value

ROWS = """
a child|a student|a senior|a family|a member|a dog|breakfast|dinner|the buffet|a double room|a bed|a towel|a day pass|the course|the lesson|an hour of tennis|a boat|a kayak|the workshop|a coffee|a parcel|a copy|a locker|the deposit|a fine|the fee|the entry|a taxi to the airport|a haircut|a map|a season ticket|the insurance|the membership / {$E costs $1|for $E {you|we|guests|people} pay $1|the price of $E is $1|we charge $1 for $E|$E is $1|there is a price of $1 for $E|$E is available for $1|you can get $E for $1} / {how much {does $E cost|is $E|do {i|we|you} pay for $E}|what does $E cost|what is the price of $E|what {do|must} {i|we} pay for $E|how expensive is $E} / MONEY
the bakery|the pool|the shop|the bank|the gym|the gallery|the theatre|the office|the kitchen|the bar|the zoo|the sauna|the store|the garage|the gate|the box office|the cash desk|the playground|the workshop|the archive|the castle|the cinema / {$E opens at $1|$E is open from $1|from $1 on $E is open|$E {can be visited|is open} every day from $1|you can enter $E from $1|$E opens its doors at $1} / {when does $E open|at what time does $E open|from when is $E open|when {can i enter|can we visit} $E} / TIME
the bakery|the pool|the shop|the bank|the gym|the gallery|the theatre|the office|the kitchen|the bar|the zoo|the sauna|the store|the garage|the gate|the box office|the playground|the castle|the cinema / {$E closes at $1|$E is open until $1|$E shuts at $1|the doors of $E close at $1} / {when does $E close|until when is $E open|at what time does $E {close|shut}|how long is $E open in the evening} / TIME
the bakery|the pool|the shop|the bank|the gym|the gallery|the theatre|the office|the kitchen|the bar|the zoo|the barber|the clinic|the archive / {$E is closed on $1|on $1 $E is closed|$E does not open on $1|$E stays shut on $1} / {{when|on which day} is $E closed|on which day does $E not open|when does $E stay shut} / DAYNAME
the concert|the lecture|the tour|the film|the race|the dinner|the course|the show|the ceremony|the exam|the shift|the speech|the parade|the training|the interview|the auction|the breakfast|the match|the service / {$E {starts|begins} at $1|$E is at $1|the start of $E is at $1|we meet for $E at $1} / {when does $E {start|begin}|at what time {does $E begin|is $E|does $E start}|when is $E} / TIME
the concert|the lecture|the tour|the film|the race|the dinner|the course|the show|the ceremony|the exam|the delivery|the parade|the training|the interview|the auction|the match|the picnic|the reunion|the audit|the launch|the deadline|the fair|the festival / {$E {is|takes place|is held|will be} on $1|on $1 there is $E|$E was moved to $1|we plan $E for $1|the date of $E is $1} / {when is $E|on which day {is|does} $E {take place|held|}|when does $E take place|what is the date of $E} / DATE
the concert|the lecture|the tour|the film|the race|the dinner|the flight|the ride|the course|the show|the ceremony|the exam|the delivery|the check|the repair|the walk|the climb|the process|the match|the programme|the test|the battery|the treatment / {$E {takes|lasts} $1|$E is over after $1|$E {takes about|needs|needs about|runs for} $1|the length of $E is $1|it takes $1 for $E} / {how long {does $E take|does $E last|is $E}|what is the length of $E|how much time does $E need} / SPAN
the warranty|the guarantee of the motor|the contract|the trial|the loan of a book|the notice period|the holiday|the guarantee of the screen|the licence|the stay|the ticket|the permit / {$E {lasts|is valid for|runs for|covers|is} $1|there are $1 of $E} / {how long {is $E|is $E valid|does $E last|does $E run}|what is the length of $E} / SPAN
the passwords|the filters|the tyres|the keys|the batteries|the rules|the towels|the menu|the prices|the lamps|the brushes|the water|the plan|the backups / {$E {is|are} {changed|replaced|renewed|checked} every $1|every $1 $E {is|are} {changed|renewed|replaced|checked}} / {how often {is|are} $E {changed|replaced|renewed|checked}|after how much time {is|are} $E {changed|renewed|replaced}} / SPAN
the bakery|the pool|the shop|the team|the gallery|the theatre|the office|the kitchen|the bar|the zoo|the choir|the band|the company|the project|the department|the club|the factory|the orchestra|the newspaper|the workshop|the lab|the farm|the sales team|the warehouse|the harbour|the station / {$E is {led|run|managed|directed|headed} by $1|$1 is the {head|director|manager|boss|leader} of $E|$1 {leads|runs|manages|heads|directs} $E|the {head|director|manager|leader} of $E is $1|$1 is in charge of $E|$1 is responsible for $E} / {who {leads|runs|manages|heads|directs} $E|who is {in charge of|responsible for|the head of|the director of|the manager of|the leader of} $E} / PERSON
the bakery|the firm|the shop|the team|the gallery|the theatre|the choir|the band|the company|the club|the factory|the orchestra|the newspaper|the hotel|the brand|the network|the school / {$E was {founded|started|opened|set up|created} by $1|$1 {founded|started|opened|created} $E|the founder of $E is $1} / {who {founded|started|created|opened} $E|who {is|was} the founder of $E|by whom was $E founded} / PERSON
the bakery|the bridge|the tower|the church|the team|the gallery|the theatre|the castle|the band|the company|the club|the factory|the station|the hotel|the mill|the garden|the old wing|the society / {$E was {founded|built|opened|finished|started} in $1|$E {dates from|has been there since|exists since} $1|in $1 $E was {founded|built|opened}} / {when was $E {founded|built|opened|finished|started}|in which year was $E {founded|built|opened}|since when does $E exist} / YEAR
complaints|bills|applications|letters|visas|repairs|orders|refunds|contracts|press questions|keys|bookings|lost things|the budget|the website|the photos|data protection|safety|the newsletter|guests|donations|travel costs / {$E {is|are} handled by $1|$1 {handles|answers|takes care of|looks after|receives|deals with} $E|for $E ask $1|questions about $E go to $1|{please|} write to $1 about $E|$E {go|should be sent} to $1} / {who {handles|takes care of|looks after|receives|deals with} $E|whom do {i|we} ask about $E|who is {responsible for|in charge of} $E|to whom do {i|we} {write|go} about $E} / PERSON
maths|the violin|swimming|chemistry|yoga|history|Latin|the children|dance|the goalkeepers|pottery|judo|drawing|singing|the beginners|the second class|physics|chess|sailing|Spanish|first aid / {$1 {teaches|trains|coaches} $E|$E {is|are} taught by $1|the teacher {of|for} $E is $1} / {who {teaches|trains|coaches} $E|who is the teacher {of|for} $E} / PERSON
the logo|the book|the song|the poster|the stage|the report|the statue|the menu|the film|the poem|the app|the plan of the garden|the letter|the map|the bridge|the article|the code / {$E was {made|designed|written|drawn|created} by $1|$1 {made|designed|wrote|drew|created} $E} / {who {made|designed|wrote|drew|created} $E|by whom was $E {made|designed|written}} / PERSON
eye diseases|bones|teeth|allergies|sleep|back pain|children|burns|ears|old people|animals / {$1 treats $E|for $E see $1|$1 is {the doctor|a doctor} for $E|patients with $E are seen by $1} / {who treats $E|which doctor treats $E|which doctor is for $E|whom do i see for $E} / DOCTOR
the bakery|the archive|the office|the lab|the kitchen|the canteen|the desk|the cloakroom|the server|the printer|the first-aid box|the meeting room|the wardrobe|the copy machine|the workshop|the prayer room|the bar|the lost property office|the control room|the sauna|the lift|the safe|the piano / {$E is {on|in|at} $1|you find $E {in|on} $1|$E was moved to $1|{go to|} $1{ is where $E is| for $E}} / {where is $E|where {can i find|do i find|is} $E|{where|to where} was $E moved|on which floor or in which room is $E} / PLACE
the meeting|the concert|the lecture|the course|the exam|the show|the training|the interview|the party|the reading|the choir practice|the workshop|the exhibition|the dinner / {$E {is|takes place|is held|happens} in $1|we meet in $1 for $E|for $E come to $1} / {where {is $E|does $E take place|is $E held}|in which {place|room} is $E} / PLACE
the factory|the warehouse|the trip|the conference|the team|the new shop|the server|the fair|the data centre|the lab|the supplier|the branch|the training|the head office|the race|the partner|the next match|the exhibition|the cruise / {$E {is|lies|is located} in $1|$E {goes|moved|comes|was moved} to $1|{we have|you find} $E in $1} / {where {is|lies} $E|in which city is $E|to which city {goes|moved|does} $E{ go|}|where does $E {go|lie|take place}} / CITYPLAIN
the office|the shop|the clinic|the gallery|the club|the studio|the warehouse|the garage|the bakery|the embassy|the hostel|the car park|the practice / {$E is at $1|the address of $E is $1|$E moved to $1|come to $1 for $E} / {what is the address of $E|where is $E|at which address is $E|in which street is $E} / STREET
the desk|the hotline|the clinic|the taxi|the caretaker|the police|the front office|the helpline|the repair service|the dealer|the office|the doctor on duty|the night porter|the emergency team / {the {phone|} number of $E is $1|$E {can be reached|is reached} on $1|call $E on $1|you reach $E on $1|{in that case|} call $1 for $E} / {what is the {phone|} number of $E|{on|under} which number {can i reach|do i reach} $E|what number has $E|how {can|do} {i|we} {reach|call} $E} / PHONE
the bus|the train|the boat|the plane|the tram|the coach|the ferry|the shuttle|the night train / {$E {to $C|} {leaves|departs|goes} at $1|at $1 $E {leaves|departs}} / {when does $E {leave|depart|go}|at what time does $E {leave|depart}} / TIME
the bus|the train|the boat|the tram|the coach|the shuttle|the lift|the metro / {$E {runs|goes|leaves} every $1|every $1 {there is $E|$E goes}} / {how often does $E {run|go|leave}} / SPAN
the village|the town|the school|the city|the club|the firm|the choir|the theatre|the library|the farm|the island|the army|the zoo|the company|the course|the group|the orchestra|the network|the forum|the museum / {$E has $1 {$U}|there are $1 {$U} in $E|$1 {$U} belong to $E|$E counts $1 {$U}} / {how many {$U} {has $E|does $E have|are {there|} in $E|belong to $E}} / COUNT
the hall|the bus|the boat|the car park|the room|the theatre|the tent|the lift|the ship|the stadium|the canteen|the shelter|the camp|the bar|the plane|the cabin|the chapel / {$E {holds|seats|has space for|has room for|fits|takes} $1 {$V}|$1 {$V} fit into $E} / {how many {$V} {fit into $E|does $E hold|can {be|sit} in $E|does $E {seat|take}}} / COUNT
the box|the bike|the engine|the parcel|the stone|the statue|the laptop|the bag|the fish|the bell|the drone|the piano|the door|the model|the pump|the anchor|the tent / {$E {weighs|has a weight of} $1|the weight of $E is $1|with $1 $E is {heavy|light}} / {how {heavy is $E|much does $E weigh}|what is the weight of $E|what does $E weigh} / WEIGHT
the tower|the wall|the tree|the mountain|the mast|the tunnel|the bridge|the river|the road|the pool|the fence|the ship|the cable|the trail|the well|the statue|the hall|the ramp|the distance|the gap / {$E is $1 {long|high|deep|wide|tall}|$E {measures|has a length of|has a height of} $1|the {length|height|size} of $E is $1} / {how {long|high|deep|wide|tall|far} is $E|what is the {length|height|size} of $E|what does $E measure} / LENGTH
the table|the box|the bag|the door|the case|the bell|the roof|the ring|the boat|the statue|the bridge|the floor|the handle|the spoon|the frame|the bench|the wheel|the mask|the coat / {$E is {made of|made from|built of} $1|it is $1 that $E is made of|we make $E of $1} / {what is $E made of|of what is $E made|which material is $E made of|from what is $E made} / MATERIAL
the lamp|the bag|the car|the coat|the door|the logo|the flag|the bus|the house|the shirt|the cover|the roof|the ticket|the cup|the line|the folder|the hat|the wall|the button|the dress|the helmet / {$E is $1|$E {comes in|is painted|is sold in|is painted in} $1|the colour of $E is $1|we chose $1 for $E} / {what colour {is|has} $E|which colour {is|has|did we choose for} $E|what is the colour of $E|in which colour is $E} / COLOUR
the wifi|the computer|the door|the alarm|the safe|the app|the portal|the printer|the archive|the network|the account|the gate|the locker|the test server / {the {password|code} {of|for} $E is $1|{use|enter} {the {password|code}|} $1 for $E|$E opens with $1} / {what is the {password|code} {of|for} $E|which {password|code} has $E} / CODEWORD
the contract|the policy|the order|the invoice|the locker|the account|the form|the ticket|the stand|the bus|the room of the course|the flight|the case|the part|the bike|the line to the airport|the gate of the flight / {{$E has the number $1|the number of $E is $1|$E: number $1|$E is number $1}} / {what is the number of $E|which number {has|is} $E|what number does $E have} / CODE
flights|trips|hotels|events|meals|flowers|translations|printing|cleaning|repairs|transport|software|catering|photos|deliveries|insurance|the heating|tickets|the website|storage / {$E {is|are} {booked|done|made|delivered|organised|provided|carried out} by {the {company|agency|firm}|} $1|{the {company|agency|firm}|} $1 {does|provides|organises|delivers} $E|for $E we {use|work with} $1} / {which {company|agency|firm} {does|provides|delivers|organises|carries out} $E|who {does|provides|delivers|organises} $E|with whom do we work for $E} / FIRM
the project|the department|the trip|the film|the party|the team|the festival|the campaign|the repair|the garden|the event|the study|the app / {$E has a budget of $1|the budget of $E is $1|$1 {are|is} planned for $E|we may spend $1 on $E|there is $1 for $E} / {what is the budget of $E|how {big|high} is the budget of $E|how much {may we spend on|is planned for|is there for} $E} / MONEY
a hotel|a dinner|a gift|a phone|the card|a taxi|a meal|a desk|a train ticket|a laptop|the budget of a team|a refund|a bonus / {$E may cost {up to|at most} $1|the limit {of|for} $E is $1|for $E we refund {up to|at most} $1|$E is refunded up to $1} / {how much may $E cost|what is the limit {of|for} $E|up to how much is $E refunded} / MONEY
requests|a sick child|a trip|a claim|a holiday|an application|a return|receipts|an order|a fault|a transfer|changes|the registration|an appeal / {$E must be {sent|handed in|reported|made} {within|in} $1|{you have|there are} $1 for $E|the time limit for $E is $1} / {{within|in} {what time|how much time} must $E be {sent|handed in|reported|made}|what is the time limit for $E|how much time {do i have|is there} for $E} / SPAN
the winner|the best cook|the first guest|every child|the second prize|the oldest member|the best team|each visitor|the volunteer|the new member / {$E {gets|receives|wins} $1|there is $1 for $E|we give $1 to $E} / {what does $E {get|receive|win}|what is there for $E|what do we give to $E} / THINGPHRASE
code A|code B|error 3|error 12|the red lamp|the yellow flag|the blue sign|a long tone|the green light|the triangle|the star|error E5|two tones|a grey dot / {$E {means|says|tells you} that $1|if you see $E, $1} / {what does $E {mean|say}|what is the meaning of $E} / STATE
the captain|the mayor|the chef|the president|the trainer|the doctor|the author|the driver|the queen|the caretaker|the pianist|the owner|the deputy|the nurse|the pilot|the secretary|the guide|the chairman|the architect|the winner|the judge|the librarian / {$E is $1|$E is called $1|$1 is $E|$1 {works as|became|was chosen as} $E|the name of $E is $1} / {who is $E|what is {the name of $E|$E called}|what is the name of $E|how is $E called} / PERSON
the river|the hotel|the ship|the app|the street|the horse|the island|the magazine|the inn|the boat|the dog|the valley|the lake|the robot|the band|the software|the meadow|the portal|the mountain|the tram stop|the cafe / {$E is {called|named} $1|the name of $E is $1|{we|people} call $E $1} / {what is {the name of $E|$E called}|how is $E called|which name has $E} / TITLEWORD
""".strip().splitlines()
UNITS = (
    "inhabitants",
    "pupils",
    "members",
    "visitors",
    "workers",
    "books",
    "teachers",
    "rooms",
    "animals",
    "shops",
    "players",
    "houses",
    "computers",
    "beds",
    "trees",
)
SITTERS = ("people", "guests", "cars", "bikes", "visitors", "children", "passengers", "tents", "students")
# Words that lose their capital inside a sentence; names keep theirs.
LOWERED = frozenset(
    "The A An For From There It On At In With Every We You Use Call Enter Come Please If That Each Two".split()
)
FILLERS = (
    "{Thank you for your interest|We look forward to your visit|Please read this text carefully|This page is updated often|All guests are welcome}.",
    "{Please do not forget your documents|Children need an adult with them|Dogs must stay outside|Smoking is not allowed|Photos are allowed}.",
    "{Everything else stays as it was|More will follow soon|The weather was good|Nobody was hurt|The food is excellent|Many guests come back}.",
    "{In winter|In summer|In spring|As always|Since then|Of course}, {there may be changes|it can get crowded|the garden is beautiful|people like to come|we are happy to help}.",
)


@dataclass(frozen=True)
class Row:
    """One row of ``ROWS``, taken apart."""

    things: tuple[str, ...]
    sentences: str
    questions: str
    kind: str


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """All rows."""
    split = ([part.strip() for part in line.split(" / ")] for line in ROWS)
    return tuple(
        Row(tuple(things.split("|")), sentences, questions, kind) for things, sentences, questions, kind in split
    )


@dataclass(frozen=True)
class Fact:
    """A sentence, and a question that ``answer``, a part of the sentence, answers."""

    sentence: str
    question: str
    answer: str
    about: str = ""


def thing(row: Row, random: Random) -> str:
    """Something that a row tells of: one of its own, or one of a place or an adjective more."""
    found = random.choice(row.things)
    pick = random.random()
    article, _, noun = found.partition(" ")
    if article in ("the", "a", "an") and noun:
        if pick < 0.1:
            return f"{article if article == 'the' else 'a'} {random.choice(ADJECTIVES)} {noun}"
        if pick < 0.16:
            return f"{found} of {value('TITLE', random)}"
        if pick < 0.24:
            return f"{found} in {random.choice(NOUNS_OF_PLACES)}"
        if pick < 0.32 and article == "the":
            return f"the {random.choice(THINGS)} {noun}"
    return found


def sentence_case(text: str) -> str:
    """A capital at the beginning, a full stop at the end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def fact(row: Row, random: Random) -> Fact:
    """One fact of a row, about something."""
    told, given = thing(row, random), value(row.kind, random)
    words = {
        "$E": told,
        "$1": given,
        "$U": random.choice(UNITS),
        "$V": random.choice(SITTERS),
        "$C": value("CITY", random),
    }
    texts = []
    for phrase in (row.sentences, row.questions):
        text = expand(phrase, random)
        for slot, word in words.items():
            text = text.replace(slot, word)
        texts.append(text)
    return Fact(sentence_case(texts[0]), texts[1], given, told)


def facts(count: int, random: Random) -> list[Fact]:
    """``count`` facts, no two of one row about the same thing."""
    found: dict[tuple[str, str], Fact] = {}
    # Some rows more than once: the thing decides then.
    chosen = random.sample(rows(), min(len(rows()), max(1, count * 2 // 3)))
    while len(found) < count:
        row = random.choice(chosen)
        new = fact(row, random)
        if not any(new.answer in other.sentence for other in found.values()):
            found.setdefault((row.sentences, new.about), new)
    return list(found.values())


def lowered(sentence: str) -> str:
    """The sentence as it stands behind another's comma."""
    first = sentence.split(" ", 1)[0]
    return sentence[:1].lower() + sentence[1:] if first in LOWERED else sentence


def joined(sentences: list[str], random: Random) -> str:
    """The sentences in a row, some of them made one."""
    text = sentences[0]
    for sentence in sentences[1:]:
        if random.random() < 0.25:
            text = (
                text.removesuffix(".")
                + random.choice((", and ", "; ", ", and ", ", while ", ", but "))
                + lowered(sentence)
            )
        else:
            text += random.choice((" ", " ", " ", "\n")) + sentence
    return text


def filler(random: Random) -> str:
    """A sentence that answers nothing."""
    return expand(random.choice(FILLERS), random)
