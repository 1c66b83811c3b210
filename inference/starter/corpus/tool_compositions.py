# ruff: noqa: E501
"""Tools put together from what can be done and to what: thousands of kinds, so that only a tool's own line tells its use.

An action is ``verbs in names / descriptions / arguments / requests``, each a phrase of the grammar; ``$N`` is the thing,
``$A`` another word for the argument, ``$1`` and ``$2`` are values. The tools of one conversation share the thing or the action, so that the
other of both decides. Requests often use other words than the description: the meaning has to be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from .grammar import expand
from .values import invented, value

ACTIONS = """
add|create|new|make|register / {Add|Create|Make|Register|Set up} {a|a new|one} $N / name,title,label=NAME / {add|create|make|set up|register} {a|a new|the} $N {called|named|} $1;{i need|we need|i want|let's have} {a new|another|a} $N {called|named} $1;{put in|enter} a {new|} $N $1;{can you|could you|please} {create|add} the $N $1
remove|delete|erase|drop|discard / {Remove|Delete|Erase|Throw away} {a|one} $N / id,number,name=ID|CODE|NAME / {remove|delete|erase|throw away|get rid of|drop|discard} {the|our|my|} $N {number|} $1;{i|we} {no longer|don't} need {the|} $N $1{ any more|};$N $1 {can go|should disappear|is not needed any more}
show|get|fetch|view|display / {Show|Get|Display|Return|Fetch} {a|one} $N / id,number,name,key=ID|CODE|NAME / {show|give|get|display|open} {me|us|} {the|} $N {number|} $1;{let me see|i want to see|can i see|may i look at} {the|} $N $1;what {is|do we know about|is in|does it say about} $N $1
list|all|show_all|overview / {List|Show all|Show} {the|all} $Ns {of|from|in} a $O / $O,owner,which=VALUE / {list|show|what are|give me|which are} {all|the|} $Ns {of|from|in|for} $1;{which|what} $Ns {does|do|has|are there in|are there for|belong to} $1{ have|};{i need|let me see} an overview of the $Ns of $1
find|search|look_for|locate / {Find|Search for|Look for|Search} {a|one|the} $N {by|with} {words|its name|a text} / query,text,words,term=WORDS / {find|search|look for|look up|search for} {a|the|} $N {about|on|with|named} $1;{is there|do we have} {a|any} $N {about|on|with|named} $1;where {is|can i find} the $N about $1
rename|relabel|change_name / {Rename|Give a new name to|Change the name of} a $N / old,from,current=NAME;new,to,new_name=NAME / {rename|relabel} {the|} $N $1 {to|as|into} $2;{call|name} the $N $1 {from now on|now|} $2;the $N $1 should be {called|named} $2;change the name of {the|} $N $1 to $2
move|shift|transfer|relocate / {Move|Shift|Bring|Transfer} a $N to {another place|a place|a city} / id,number,name=CODE|ID;place,target,to=CITY / {move|bring|shift|transfer|take} {the|} $N $1 to $2;{the|} $N $1 {must|should|has to} {go|be moved|be brought} to $2
copy|duplicate|clone / {Copy|Duplicate|Make a copy of} a $N / id,source,name,number=NAME|CODE / {copy|duplicate|clone} {the|} $N $1;{make|i need|give me} {a copy|another one|a second one|a double} of {the|} $N $1
send|deliver|forward|ship / {Send|Deliver|Forward|Ship} a $N to {someone|a person} / id,number,name=CODE|ID;recipient,person,to=PERSON / {send|deliver|forward|ship|hand over} {the|} $N $1 to $2;$2 {needs|should get|is waiting for|wants} {the|} $N $1
start|run|launch|activate|turn_on / {Start|Run|Launch|Activate|Switch on} {a|the|one} $N / name,id,which=NAME|CODE / {start|run|launch|activate|switch on|turn on} {the|} $N $1;{get|set} {the|} $N $1 {going|running|in motion};{the|} $N $1 {should|must} {run|start|begin}
stop|halt|end|shut_down|turn_off / {Stop|Halt|End|Switch off|Shut down} {a|the|one} $N / name,id,which=NAME|CODE / {stop|halt|end|switch off|turn off|shut down} {the|} $N $1;{the|} $N $1 {should|must} {stop|end|not run any more};{no more|that's enough of} {the|} $N $1
pause|suspend|hold|freeze / {Pause|Suspend|Interrupt|Put on hold} a $N / name,id,which=NAME|CODE;until,till,end=DAY / {pause|suspend|interrupt|freeze|put on hold} {the|} $N $1 until $2;{the|} $N $1 can {wait|rest} until $2
open|unlock|unseal / {Open|Unlock} {the|a} $N / name,place,which,id=CODE|NAME / {open|unlock|unseal} {the|} $N {number|} $1;{let me|i want to|can i} {into|get into|enter} {the|} $N $1;make {the|} $N $1 open
close|lock|seal|shut / {Close|Lock|Shut} {the|a} $N / name,place,which,id=CODE|NAME / {close|lock|shut|seal} {the|} $N {number|} $1;{nobody|no one} should get into {the|} $N $1;{the|} $N $1 {must be|should be|has to be} {shut|locked|closed}
book|reserve|rent|hire / {Book|Reserve|Rent|Hire} {a|one} $N / name,which,id=TITLEWORD|CODE;day,date,when=DAY / {book|reserve|rent|hire} {the|} $N $1 {for|on} $2;{i want|i'd like|we need|i need} {the|} $N $1 {on|for} $2;{can i have|keep} {the|} $N $1 {on|for} $2
cancel|call_off|revoke|withdraw / {Cancel|Call off|Withdraw|Revoke} a $N / id,number,reference=ID|CODE / {cancel|call off|withdraw|revoke|undo} {my|the|our|} $N {number|} $1;i {don't|no longer} want {the|my} $N $1{ any more|};{the|my} $N $1 {will not happen|is off|must be cancelled}
pay|settle|buy|purchase / {Pay|Pay for|Settle} a $N / id,number,reference=ID|CODE;amount,sum,price=NUM# / {pay|settle} $2 {euros|dollars|} for {the|} $N $1;{the|} $N $1 costs $2 {euros|dollars|}, {pay it|settle it|please pay}
sell|offer|give_away / {Sell|Offer for sale} a $N / name,id,what=TITLEWORD|CODE;price,amount,sum=NUM# / {sell|offer} {the|my|our|} $N $1 for $2;{find somebody who buys|put up for sale} {the|my} $N $1 {for|at} $2;i want $2 for {the|my} $N $1
check|status_of|inspect|test / {Check|Test|Tell the state of|Inspect} a $N / id,name,which,number=CODE|NAME|ID / {check|test|inspect|look at} {the|} $N $1;{how is|what about|is everything fine with|what is the state of} {the|} $N $1;is {the|} $N $1 {ok|fine|ready|working|up|done}
repair|fix|mend|restore / {Repair|Fix|Mend} a {broken|} $N / id,name,which=CODE|NAME / {repair|fix|mend} {the|} $N $1;{the|} $N $1 {is broken|does not work|has a defect|is damaged}{, please help|, do something|};{make|get} {the|} $N $1 {work again|going again}
clean|wash|wipe|tidy / {Clean|Wash|Tidy} {the|a} $N / name,which,place=NAME|CODE|ROOM / {clean|wash|wipe|tidy up} {the|} $N $1;{the|} $N $1 is {dirty|a mess|full of dust};{get|make} {the|} $N $1 clean
count|number_of|total / {Count|Return the number of} {the|all} $Ns {in|of} a $O / $O,where,place=VALUE / how many $Ns {are in|has|are there in|does} $1{ have|};{count|tell me the number of} {the|} $Ns {in|of} $1;what is the number of $Ns {in|of} $1
compare|versus|difference / {Compare|Show the difference between} two $Ns / first,left,a=NAME|CODE;second,right,b=NAME|CODE / compare {the|} {$N|$Ns} $1 {and|with|to} $2;{what is the difference between|which is better,} {the|} {$N|$Ns} $1 {and|or} $2
rate|review|score / {Rate|Review|Score|Judge} a $N / name,id,which=TITLEWORD|NAME;points,score,stars=NUM# / {rate|review|score} {the|} $N $1 with $2 {points|stars|};{give|i give} {the|} $N $1 $2 {points|stars};$2 {points|stars} for {the|} $N $1
assign|allocate|delegate / {Assign|Give|Allocate} a $N to {a person|someone} / id,number,name=ID|CODE;person,to,owner=PERSON / {assign|allocate|delegate|give} {the|} $N $1 to $2;$2 {should|will|can} {take|do|take care of|get} {the|} $N $1;{the|} $N $1 is for $2
approve|accept|confirm|allow / {Approve|Accept|Confirm|Allow} a $N / id,number,name=ID|CODE|PERSON / {approve|accept|confirm|allow|agree to} {the|} $N {number|of|} $1;{the|} $N {of|} $1 is {fine|ok|approved|good};{say|i say} yes to {the|} $N {of|} $1
reject|refuse|decline|deny / {Reject|Refuse|Decline|Deny} a $N / id,number,name=ID|CODE|PERSON / {reject|refuse|decline|deny|turn down} {the|} $N {number|of|} $1;{say|i say} no to {the|} $N {of|} $1;{the|} $N {of|} $1 is not {ok|acceptable|approved}
set|change|adjust|update / {Set|Change|Adjust|Update} the $Q {of a $N|} / value,$Q,target,level=NUM# / {set|change|put|adjust|turn} the $Q {of the $N|} to $1;{make|i want} the $Q $1;the $Q {of the $N|} {should be|must be} $1;$Q $1{ please|}
measure|read|get|current / {Measure|Read|Tell|Get} the $Q {of|in} a $N / id,name,place,which=NAME|CODE|CITY / {what is|how high is|tell me|measure|read|check} the $Q {of|in|at} {the $N|} $1;which $Q {has|does} {the $N|} $1{ have|};{i want to know|give me} the $Q of {the $N|} $1
remind|notify|alert / {Remind|Notify|Inform} {a person|someone} {about|of} a $N / person,who,name=PERSON;what,subject,message=WORDS / {remind|notify|tell|inform} $1 about {the|} $N $2;$1 {must not forget|should know about|should hear of} {the|} $N $2
order|buy|request|purchase / {Order|Buy|Get} {some|a number of|} $Ns / count,number,quantity,amount=NUM# / {order|buy|get|purchase} {me|us|} $1 $Ns;{we|i} {need|want|would like} $1 {more|new|} $Ns;$1 $Ns {please|for us|, please}
invite|ask|add_guest / {Invite|Ask|Add} {a person|someone} to a $N / person,guest,who,name=PERSON;what,which,title=TITLEWORD / invite $1 to {the|our|my} $N $2;{ask $1 to come|$1 should come|i want $1} to {the|our|my} $N $2
upload|import|load / {Upload|Import|Load} a $N {from|out of} a file / file,path,filename,source=PATH / {upload|import|load|read in} {the|a|} $N {from|} $1;{take|get} the $N {from|out of} $1;{the|my} $N is in $1, {import|load} it
download|export|save|backup / {Download|Export|Save} a $N {to a file|into a file|as a file} / file,path,filename,target=PATH / {download|export|save|write} {the|my|} $N {to|as|into} $1;{i want|put} {the|my} $N {as|in|into} {a file|the file|} $1
share|publish|post / {Share|Publish|Post} a $N {with others|in a channel|on a page} / title,name,id=TITLEWORD|CODE;channel,page,where=NAME / {share|publish|post} {the|my|} $N $1 {in|on|to} $2;{everybody in|people on} $2 should see {the|my} $N $1
translate|convert|turn / {Translate|Convert|Turn} a $N into another {language|form} / id,name,which=NAME|CODE;language,target,form=LANG / {translate|convert|turn} {the|} $N $1 {into|to} $2;{i need|give me|make} {the|} $N $1 in $2;what is {the|} $N $1 in $2
join|enter|subscribe|sign_up / {Join|Enter|Subscribe to|Sign up for} a $N / name,which,id=NAME|TITLEWORD / {join|enter|subscribe to|sign up for|sign me up for} {the|} $N $1;{i want to|let me|can i} {be part of|take part in|get into} {the|} $N $1;add me to {the|} $N $1
leave|quit|unsubscribe|sign_off / {Leave|Quit|Unsubscribe from} a $N / name,which,id=NAME|TITLEWORD / {leave|quit|unsubscribe from|get me out of} {the|} $N $1;{i don't want|no longer want} to be in {the|} $N $1;remove me from {the|} $N $1
next|skip|forward / {Go to|Skip to|Show} the next $N /  / {next|skip to the next|the next} $N{ please|};{skip|i don't like} {this|the} $N;{go on to|show me|continue with} the {next|following} $N
last|latest|recent|current / {Show|Get|Return} the {latest|newest|most recent|current} $N /  / {what is|show me|give me|get} the {latest|newest|most recent|current} $N;{is there|do we have|do i have} {a|any} new $N;which $N {is this|is it now|is the newest}
reset|clear|empty / {Reset|Clear|Empty} {the|all} $Ns /  / {reset|clear|empty} {the|all|all my} $Ns;{start over|begin again} with the $Ns;{i want|get me} rid of all {the|my} $Ns
extend|renew|prolong / {Extend|Renew|Prolong} a $N / id,number,name=ID|CODE|NAME / {extend|renew|prolong} {my|the|} $N {number|} $1;{i need|we need|can i keep} {my|the} $N $1 {longer|for more time|for a longer time};{my|the} $N $1 {ends|runs out} soon
calculate|compute|estimate / {Calculate|Compute|Estimate|Work out} the $Q of a $N / name,id,which,item=TITLEWORD|NAME|THING / {calculate|compute|estimate|work out} the $Q of {the $N|} $1;{what|how much} {would|will} be the $Q of {the $N|} $1;{how much|which} $Q has {the $N|} $1
schedule|plan|arrange / {Schedule|Plan|Arrange} a $N / day,date,when=DAY;time,at,hour=TIME / {schedule|plan|arrange|set} {a|the|my} $N {for|on} $1 at $2;{i|we} {need|want|have} a $N on $1 at $2;{the|a} $N {should be|is} on $1 at $2
route|way|directions / {Show|Find|Get} the way {between two $Ns|from one $N to another} / start,from,origin=CITY|NAME;end,to,target=CITY|NAME / how {do i|can i|do we} get from {$N|the $N|} $1 to {$N|the $N|} $2;{what is|show me} the way from {$N|the $N|} $1 to {$N|the $N|} $2;how far {is it|} from {$N|} $1 to {$N|} $2
""".strip().splitlines()
THINGS = [
    "boat",
    "canoe",
    "ferry",
    "bus",
    "tram",
    "scooter",
    "trailer",
    "truck",
    "van",
    "ship",
    "plane",
    "drone",
    "train seat",
    "parking space",
    "charging station",
    "garage",
    "locker",
    "mailbox",
    "desk lamp",
    "fan",
    "heater",
    "boiler",
    "pump",
    "valve",
    "sensor",
    "camera",
    "doorbell",
    "robot",
    "printer",
    "scanner",
    "projector",
    "speaker",
    "screen",
    "album",
    "track",
    "radio station",
    "episode",
    "film",
    "series",
    "photo",
    "video",
    "poster",
    "comic",
    "magazine",
    "article",
    "chapter",
    "poem",
    "report",
    "form",
    "letter",
    "postcard",
    "certificate",
    "passport",
    "permit",
    "licence",
    "visa",
    "badge",
    "contract",
    "policy",
    "claim",
    "loan",
    "account",
    "wallet",
    "coin",
    "bond",
    "fund",
    "tax file",
    "receipt",
    "budget",
    "donation",
    "voucher",
    "coupon",
    "field",
    "tree",
    "flower bed",
    "greenhouse",
    "cow",
    "sheep",
    "horse",
    "hen",
    "beehive",
    "aquarium",
    "kennel",
    "tractor",
    "harvest",
    "seed",
    "barrel",
    "bottle",
    "crate",
    "pallet",
    "container",
    "shipment",
    "package",
    "shelf",
    "warehouse",
    "store",
    "product",
    "brand",
    "sample",
    "menu",
    "dish",
    "recipe",
    "pizza",
    "cake",
    "meal",
    "drink",
    "patient",
    "nurse",
    "doctor's visit",
    "vaccine",
    "therapy",
    "prescription form",
    "lab test",
    "diet",
    "workout",
    "exercise",
    "race",
    "match",
    "team",
    "player",
    "league",
    "ticket",
    "seat",
    "concert",
    "festival",
    "exhibition",
    "museum tour",
    "trip",
    "cruise",
    "hike",
    "camp",
    "tent",
    "cabin",
    "villa",
    "flat",
    "house",
    "roof",
    "window",
    "elevator",
    "staircase",
    "kitchen",
    "pool",
    "sauna",
    "lesson",
    "exam",
    "course book",
    "homework",
    "pupil",
    "class",
    "school bus",
    "library card",
    "dictionary",
    "language course",
    "quiz",
    "survey",
    "vote",
    "petition",
    "law",
    "court date",
    "complaint",
    "inspection",
    "crime report",
    "fire alarm",
    "siren",
    "traffic light",
    "bridge",
    "tunnel",
    "road sign",
    "satellite",
    "telescope",
    "rocket",
    "planet",
    "star map",
    "website",
    "page",
    "blog",
    "comment",
    "post",
    "newsletter",
    "banner",
    "campaign",
    "contact list",
    "lead",
    "offer",
    "quote",
    "deal",
    "meeting note",
    "task list",
    "sprint",
    "milestone",
    "bug list",
    "branch office",
    "pipeline",
    "job",
    "script",
    "test run",
    "build",
    "cluster node",
    "backup",
    "snapshot",
    "volume",
    "firewall rule",
    "certificate file",
    "domain",
    "password list",
    "token",
    "log file",
    "dashboard",
    "alert",
    "metric",
    "queue",
    "cache",
    "table",
    "column",
    "index",
    "model file",
    "dataset",
    "notebook",
    "wedding",
    "birthday",
    "gift",
    "guest list",
    "playlist",
    "game",
    "puzzle",
    "toy",
    "doll",
    "costume",
    "dress",
    "shoe",
    "jacket",
    "necklace",
    "haircut",
    "massage",
    "nap",
    "dream",
    "diary",
    "habit",
    "goal",
    "wish list",
    "grocery list",
    "pantry",
    "fridge",
    "oven",
    "dishwasher",
    "washing machine",
    "curtain",
    "sprinkler",
    "fountain",
    "bench",
    "swing",
    "ladder",
    "toolbox",
]
OWNERS = [
    "team",
    "city",
    "customer",
    "room",
    "project",
    "department",
    "month",
    "region",
    "school",
    "club",
    "country",
    "street",
    "floor",
    "year",
    "author",
    "member",
]
OWNED = {
    "team": "NAME",
    "city": "CITY",
    "customer": "PERSON",
    "room": "CODE",
    "project": "TITLEWORD",
    "month": "MONTH",
    "country": "COUNTRY",
    "author": "PERSON",
    "member": "PERSON",
    "year": "YEAR",
    "region": "CITY",
}
QUANTITIES = [
    "speed",
    "price",
    "weight",
    "pressure",
    "humidity",
    "brightness",
    "volume",
    "height",
    "age",
    "temperature",
    "limit",
    "size",
    "noise",
    "fuel level",
    "salt level",
    "rent",
    "cost",
    "depth",
    "power",
    "delay",
    "interval",
    "width",
    "load",
    "colour depth",
    "strength",
    "wage",
    "risk",
    "distance",
    "value",
    "quality",
]


@dataclass(frozen=True)
class Action:
    """One row of ``ACTIONS``, taken apart; an argument is its possible names and its possible kinds of value."""

    verbs: tuple[str, ...]
    descriptions: str
    arguments: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    requests: tuple[str, ...]


@dataclass(frozen=True)
class Composed:
    """A tool's parts, before it gets a name: description, JSON types and values of its arguments, and a request."""

    plain_name: str
    description: str
    types: dict[str, str]
    arguments: dict[str, object]
    request: str


@lru_cache(maxsize=1)
def actions() -> tuple[Action, ...]:
    """All actions."""
    found = []
    for line in ACTIONS:
        verbs, descriptions, arguments, requests = (part.strip() for part in f"{line} ".split(" / "))
        pairs = [argument.split("=") for argument in arguments.split(";") if argument]
        found.append(
            Action(
                tuple(verbs.split("|")),
                descriptions,
                tuple((tuple(names.split(",")), tuple(kinds.split("|"))) for names, kinds in pairs),
                tuple(requests.split(";")),
            )
        )
    return tuple(found)


def plural(noun: str) -> str:
    """Several of a thing."""
    if noun.endswith("s"):
        return noun
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeo" else f"{noun}s"


def composed(action: Action, noun: str, random: Random) -> Composed:
    """A tool that does ``action`` to ``noun``, and a request for it."""
    owner, quantity = random.choice(OWNERS), random.choice(QUANTITIES)
    types: dict[str, str] = {}
    arguments: dict[str, object] = {}
    values = []
    for names, kinds in action.arguments:
        kind = random.choice(kinds)
        name = random.choice([one for one in names if one not in types])
        name = {"$O": owner, "$Q": quantity.replace(" ", "_")}.get(name, name)
        text = value(OWNED.get(owner, "NAME") if kind == "VALUE" else kind.rstrip("#"), random)
        if random.random() < 0.1:
            name = f"{noun.replace(' ', '_').replace(chr(39), '')}_{name}"
        # Any kind of value may be typed as a number, where it is one.
        whole = text.isdigit() and text[0] != "0" and (kind.endswith("#") or random.random() < 0.15)
        types[name] = "integer" if whole else "string"
        arguments[name] = int(text) if whole else text
        values.append(text)
    many = plural(noun)
    texts = []
    for phrase in (action.descriptions, random.choice(action.requests)):
        text = expand(phrase.replace("$Ns", "%M"), random)
        for slot, word in {"%M": many, "$N": noun, "$O": owner, "$Q": quantity}.items():
            text = text.replace(slot, word)
        for place, given in enumerate(values, 1):
            text = text.replace(f"${place}", given)
        texts.append(text)
    verb = random.choice(action.verbs)
    what = quantity if "$Q" in action.descriptions and random.random() < 0.6 else noun
    plain = f"{verb}_{what}".replace(" ", "_").replace("'", "")
    return Composed(plain, texts[0], types, arguments, texts[1])


def related(count: int, random: Random) -> list[Composed]:
    """``count`` tools that share the thing, the action, or nothing."""
    pick = random.random()
    chosen = random.sample(actions(), count)
    nouns = random.sample(THINGS, count)
    if pick < 0.5:
        nouns = [nouns[0]] * count
    elif pick < 0.8:
        chosen = [chosen[0]] * count
    return [composed(action, noun, random) for action, noun in zip(chosen, nouns, strict=True)]


def meaningless(random: Random) -> str:
    """A name that tells nothing."""
    return f"{invented(random)}_{invented(random)}"
