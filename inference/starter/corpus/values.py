# ruff: noqa: RUF005, S608, SIM905
"""Values that questions, calls and passages are filled with: names, places, numbers, made-up words."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

FIRST = (
    "Anna Ben Carla David Elena Farid Greta Hugo Iris Jonas Kira Leo Mona Nils Olivia Paul Quinn Rosa Stefan Tara "
    "Umar Vera Walter Xenia Yusuf Zoe Aisha Bruno Chloe Dmitri Emeka Fatima George Hana Ivan Julia Kenji Lucia Marco "
    "Nadia Oscar Petra Ravi Sofia Theo Uma Victor Wanda Yara Zack Alice Bob Mei Diego Amir Lena Tom Sara Max Lily "
    "Omar Eva Felix Ruth"
).split()
LAST = (
    "Adler Brown Costa Dietrich Eriksen Fischer Garcia Hughes Ivanov Jensen Kaya Lopez Moreau Nguyen Okafor Patel "
    "Quist Rossi Silva Tanaka Usman Vogel Weber Xu Young Zeller Baker Carter Dubois Evans Ferrari Gruber Hansen Ito "
    "Kowalski Larsen Meyer Novak Olsen Peters Romano Schmidt Torres Ueda Varga Walsh Yilmaz Smith Jones Muller Keller "
    "Fontaine"
).split()
CITIES = [
    "Paris",
    "London",
    "Rome",
    "Vienna",
    "Prague",
    "Dublin",
    "Athens",
    "Madrid",
    "Berlin",
    "Munich",
    "Cologne",
    "Milan",
    "Naples",
    "Porto",
    "Seville",
    "Lyon",
    "Nice",
    "Ghent",
    "Bruges",
    "Geneva",
    "Basel",
    "Bern",
    "Graz",
    "Linz",
    "Krakow",
    "Gdynia",
    "Riga",
    "Vilnius",
    "Tallinn",
    "Helsinki",
    "Turku",
    "Malmo",
    "Bergen",
    "Aarhus",
    "Oxford",
    "Bath",
    "Leeds",
    "York",
    "Cardiff",
    "Glasgow",
    "Cork",
    "Boston",
    "Chicago",
    "Dallas",
    "Denver",
    "Seattle",
    "Austin",
    "Miami",
    "Toronto",
    "Ottawa",
    "Montreal",
    "Lima",
    "Quito",
    "Bogota",
    "Santiago",
    "Recife",
    "Cairo",
    "Tunis",
    "Accra",
    "Lagos",
    "Kampala",
    "Mombasa",
    "Durban",
    "Dubai",
    "Doha",
    "Mumbai",
    "Delhi",
    "Chennai",
    "Dhaka",
    "Bangkok",
    "Hanoi",
    "Manila",
    "Jakarta",
    "Seoul",
    "Busan",
    "Osaka",
    "Kyoto",
    "Sapporo",
    "Taipei",
    "Sydney",
    "Perth",
    "Auckland",
] + ["New York", "San Diego", "Cape Town", "Hong Kong", "Rio de Janeiro", "Buenos Aires", "Los Angeles"]
COUNTRIES = (
    "France Spain Italy Germany Poland Norway Sweden Finland Denmark Austria Greece Turkey Egypt Kenya Ghana Nigeria "
    "India China Japan Korea Vietnam Thailand Brazil Peru Chile Mexico Canada Australia Iceland Ireland Hungary "
    "Croatia Cuba Nepal"
).split()
LANGUAGES = (
    "English French German Spanish Italian Polish Dutch Swedish Finnish Greek Turkish Arabic Hindi Korean Japanese "
    "Chinese Russian Portuguese Czech Danish"
).split()
ANIMALS = (
    "cat dog horse fox wolf bear owl eagle whale dolphin shark tiger lion rabbit mouse frog spider bee ant penguin"
).split()
FOODS = (
    "bread soup pasta pizza rice curry salad pancakes cheese apple pie chocolate cake tomato sauce lentils sushi "
    "tacos omelette risotto dumplings cookies lasagne stew muffins pudding"
).split()
THINGS = (
    "lamp chair table desk sofa mirror carpet kettle toaster fridge oven bicycle helmet tent backpack jacket shirt "
    "shoes hat watch ring camera phone laptop keyboard monitor printer cable battery charger speaker guitar piano "
    "violin drum book notebook pencil pen brush paint canvas candle vase clock blanket pillow towel bottle cup plate "
    "bowl spoon knife fork basket box bag wallet umbrella hammer drill saw ladder bucket rope engine wheel tyre "
    "mirror window door garden fence"
).split()
ADJECTIVES = (
    "red blue green yellow black white grey brown small large old new wooden metal glass round square soft heavy "
    "light quiet bright dark warm cold fast slow cheap simple modern classic silver golden"
).split()
TOPICS = (
    "budget holiday plan meeting notes project roadmap sales report team lunch security training onboarding survey "
    "release marketing contract invoice budget review office move summer party quarterly results travel costs hiring "
    "process privacy rules energy use water quality bird migration solar power electric cars train delays coffee "
    "machines city parks old maps music festivals winter sports garden tools health insurance data backup network "
    "outage"
).split()
DAYS = ("Monday Tuesday Wednesday Thursday Friday Saturday Sunday").split()
MONTHS = ("January February March April May June July August September October November December").split()
ROOMS = (
    "bedroom bathroom hallway garage office living room attic cellar nursery dining room balcony studio".replace(
        "living room", "living_room"
    )
    .replace("dining room", "dining_room")
    .split()
)
STARTS = ("b bl br c ch cl d dr f fl g gl gr h j k kr l m n p pl pr qu r s sh sk sl st t th tr v w z").split()
MIDDLES = ("a e i o u ai ea ee oo ou ia io").split()
ENDS = ["", "", "n", "r", "l", "m", "s", "t", "x", "ck", "nd", "rt", "st", "ng"]


def invented(random: Random) -> str:
    """A made-up lower-case word of one to three syllables."""
    return "".join(
        random.choice(STARTS) + random.choice(MIDDLES) + random.choice(ENDS) for _ in range(random.choice((1, 2, 2, 3)))
    )


def digits(random: Random, least: int = 1, most: int = 6) -> str:
    """A number without leading zero, of ``least`` to ``most`` digits."""
    size = random.randint(least, most)
    return str(random.randint(10 ** (size - 1), 10**size - 1))


def person(random: Random) -> str:
    """A first name, sometimes with a last one, sometimes invented."""
    first = random.choice(FIRST) if random.random() < 0.7 else invented(random).capitalize()
    last = random.choice(LAST) if random.random() < 0.6 else invented(random).capitalize()
    return random.choice((first, f"{first} {last}", f"{first} {last}"))


def city(random: Random) -> str:
    """A city, known or invented."""
    return random.choice(CITIES) if random.random() < 0.7 else invented(random).capitalize()


def email(random: Random) -> str:
    """An address at a reserved domain."""
    name = random.choice((random.choice(FIRST).lower(), invented(random)))
    return f"{name}@{random.choice(('example', invented(random)))}.{random.choice(('com', 'org', 'net'))}"


def code(random: Random) -> str:
    """A short identifier of letters and digits."""
    letters = "".join(random.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(random.randint(1, 3)))
    return random.choice((f"{letters}{digits(random, 2, 4)}", f"{letters}-{digits(random, 2, 4)}"))


def words(random: Random) -> str:
    """Two or three words that could be a title or a search."""
    pool = (TOPICS, THINGS, ADJECTIVES)
    return " ".join(random.choice(random.choice(pool)) for _ in range(random.randint(1, 3)))


def phrase(random: Random) -> str:
    """A short sentence to be quoted."""
    return random.choice(
        (
            f"the {random.choice(ADJECTIVES)} {random.choice(THINGS)} is {random.choice(ADJECTIVES)}",
            f"good {random.choice(('night', 'evening', 'luck', 'day', 'work'))}",
            f"I am in {city(random)}",
            f"see you on {random.choice(DAYS)}",
            f"my {random.choice(ANIMALS)} likes {random.choice(FOODS)}",
            words(random),
        )
    )


def clock(random: Random) -> str:
    """A time of day."""
    hour = random.randint(1, 12)
    return random.choice(
        (f"{random.randint(0, 23)}:{random.randint(0, 59):02d}", f"{hour} {random.choice(('am', 'pm'))}")
    )


def expression(random: Random) -> str:
    """A short arithmetic expression."""
    operator = random.choice("+-*/")
    return f"{digits(random, 1, 3)} {operator} {digits(random, 1, 3)}"


UNITS = "days weeks months years hours minutes".split()
MATERIALS = "steel wood stone paper glass leather cotton wool copper plastic clay iron silk marble bamboo".split()


def span(random: Random) -> str:
    """A length of time, the number in digits or as a word."""
    return f"{random.choice((digits(random, 1, 2), random.choice(NUMBER_WORDS)))} {random.choice(UNITS)}"


def money(random: Random) -> str:
    """An amount with its currency, large ones grouped."""
    return f"{int(digits(random, 1, 6)):,} {random.choice(('euros', 'dollars', 'pounds', 'francs'))}"


def floor(random: Random) -> str:
    """A place in a building."""
    ordinal = random.choice(("first", "third", "fourth", "fifth", "top", "ground"))
    return random.choice((f"the {ordinal} floor", f"building {code(random)}", f"room {code(random)}"))


KINDS: dict[str, Callable[[Random], str]] = {
    "CITY": city,
    "COUNTRY": lambda r: r.choice(COUNTRIES),
    "PERSON": person,
    "EMAIL": email,
    "SPAN": span,
    "MONEY": money,
    "FLOOR": floor,
    "AT": lambda r: f"at {clock(r)}",
    "ADJ": lambda r: r.choice(ADJECTIVES),
    "MATERIAL": lambda r: r.choice((r.choice(MATERIALS), invented(r))),
    "WEIGHT": lambda r: f"{digits(r, 1, 3)} {r.choice(('kg', 'grams', 'tons', 'pounds'))}",
    "STREET": lambda r: f"{digits(r, 1, 3)} {r.choice((person(r), city(r)))} {r.choice(('Street', 'Road', 'Lane'))}",
    "PHONE": lambda r: r.choice((digits(r, 3, 6), f"{digits(r, 3, 3)}-{digits(r, 4, 4)}")),
    "NUM": lambda r: digits(r, 1, 3),
    "ID": lambda r: digits(r, 2, 6),
    "CODE": code,
    "DAY": lambda r: r.choice((r.choice(DAYS), f"{r.randint(1, 28)} {r.choice(MONTHS)}", "tomorrow", "today")),
    "TIME": clock,
    "WORDS": words,
    "PHRASE": phrase,
    "THING": lambda r: f"{r.choice(ADJECTIVES)} {r.choice(THINGS)}" if r.random() < 0.5 else r.choice(THINGS),
    "LANG": lambda r: r.choice(LANGUAGES),
    "ROOM": lambda r: r.choice(ROOMS).replace("_", " "),
    "EXPR": expression,
    "URL": lambda r: f"https://{invented(r)}.example.{r.choice(('com', 'org'))}/{invented(r)}",
    "PATH": lambda r: f"{invented(r)}.{r.choice(('txt', 'md', 'csv', 'log', 'pdf', 'json'))}",
    "HOST": lambda r: f"{r.choice(('app', 'mail', 'cache', 'node', invented(r)))}-{r.randint(1, 40):02d}",
    "NAME": invented,
    "FOOD": lambda r: r.choice(FOODS),
    "ANIMAL": lambda r: r.choice(ANIMALS),
    "SYMBOL": lambda r: "".join(r.choice("ABCDEFGHIKLMNOPRSTUVWXZ") for _ in range(r.randint(2, 4))),
    "TITLE": lambda r: " ".join(w.capitalize() for w in words(r).split()),
    "SQL": lambda r: f"select {r.choice(('*', 'name', 'sum(price)'))} from {r.choice(THINGS)}s",
    "VERSION": lambda r: f"{r.randint(0, 9)}.{r.randint(0, 20)}",
}


NOUNS_OF_PLACES = (
    "the north|the old town|the main building|the basement|summer|winter|the second week|the harbour|the park|"
    "the annex|the east wing|the centre|the school|the tower"
).split("|")
COLOURS = "red blue green yellow black white grey brown silver golden purple orange pink turquoise violet".split()
STATES = (
    "the tank is empty|the lid is open|somebody is waiting|the paper is missing|the motor is too hot|"
    "the road is closed|the test has failed|the battery is low|all is well|water is leaking|the filter is full|"
    "the line is busy|the belt is loose|the door is locked"
).split("|")
NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty sixty".split()


def title_word(random: Random) -> str:
    """A name with capitals: one or two words, made up or not."""
    first = random.choice((invented(random), random.choice(ADJECTIVES), random.choice(THINGS))).capitalize()
    return random.choice(
        (first, f"{first} {random.choice(THINGS).capitalize()}", f"{first} {invented(random).capitalize()}")
    )


def count(random: Random) -> str:
    """A number of people or things."""
    return random.choice((digits(random, 1, 4), f"{int(digits(random, 4, 5)):,}", random.choice(NUMBER_WORDS)))


KINDS |= {
    "DAYNAME": lambda r: r.choice(DAYS),
    "DATE": lambda r: r.choice(
        (r.choice(DAYS), f"{r.randint(1, 28)} {r.choice(MONTHS)}", f"{r.choice(MONTHS)} {r.randint(1, 28)}")
    ),
    "YEAR": lambda r: str(r.randint(1650, 2024)),
    "DOCTOR": lambda r: f"Dr. {person(r)}",
    "PLACE": lambda r: r.choice(
        (
            floor(r),
            f"room {code(r)}",
            f"hall {r.randint(1, 40)}",
            f"the {title_word(r)} room",
            f"the {r.choice(THINGS)} shop",
            f"house {r.choice('ABCDEFGH')}",
            f"room {digits(r, 1, 3)}",
        )
    ),
    "CITYPLAIN": city,
    "COUNT": count,
    "LENGTH": lambda r: f"{digits(r, 1, 3)} {r.choice(('metres', 'kilometres', 'miles', 'feet', 'centimetres'))}",
    "COLOUR": lambda r: r.choice(
        (r.choice(COLOURS), f"{r.choice(('dark', 'light', 'bright', 'pale'))} {r.choice(COLOURS)}")
    ),
    "CODEWORD": lambda r: r.choice(
        (f"{title_word(r).split()[0]}{digits(r, 1, 3)}", code(r), digits(r, 4, 6), invented(r))
    ),
    "FIRM": lambda r: r.choice((title_word(r), invented(r).capitalize())),
    "THINGPHRASE": lambda r: f"a {r.choice(ADJECTIVES)} {r.choice(THINGS)}",
    "STATE": lambda r: r.choice(STATES),
    "TITLEWORD": title_word,
    "MONTH": lambda r: r.choice(MONTHS),
    "FLOORWORD": lambda r: r.choice(("first", "second", "third", "fourth", "ground", "top")),
}


def value(kind: str, random: Random) -> str:
    """A random value of a kind named in ``KINDS``."""
    return KINDS[kind](random)
