# ruff: noqa: E501, SIM905
"""Wordings of everything that the starter model does not know; phrases of the grammar, ``$KIND`` is a value.

Kinds beside those of ``values``: ``NOUN``, ``NOUNS``, ``DOING``, ``FIELD``, ``WHO``, ``WORK``, ``JOB``, from the word lists here. Some lines borrow
the product's own words (run, key, thread, port) for other things, so that one word alone never decides.
"""

from __future__ import annotations

NOUN = (
    "airplane airport apple army atom bakery balloon bank bathroom battle beach beard beer bird blood boat bomb bone "
    "bottle brain bread bridge brother building bus butter cake calendar camera camp candle car carpet castle cave "
    "chicken child church cinema circus climate cloud coat coffee comet company computer concert cookie corn country "
    "cow crime crown culture dance daughter desert diamond dictionary dinner disease doctor dolphin dragon dream drug "
    "earthquake economy egg eclipse election electricity elephant emperor energy engine evolution farm fashion father "
    "festival fever film fire fish flag flower flu football forest friend fruit galaxy game garden gas genome ghost "
    "glacier goat gold government grammar grass gravity guitar hair hammer headache heart history holiday honey "
    "hospital hotel house hurricane ice insect inflation iron island jacket jazz job juice justice kidney king "
    "kitchen kitten lake lamp language law leaf lemon letter light lightning lion liver loan lunch lung magnet map "
    "marathon marriage meat medicine metal microscope milk mirror monkey moon mosquito mother mountain mouse movie "
    "muscle museum mushroom music nation needle neighbour neuron nose novel nurse ocean oil olive onion opera orange "
    "orchestra organ oxygen painting palace paper parliament parrot passport peace pepper piano pig pilot planet "
    "plant plastic poem poet poison police potato prison pyramid queen rain rainbow recipe religion restaurant "
    "revolution rice river robot rocket roof rose salad salt sand satellite school science sea season shark sheep "
    "ship shoe shop sister skeleton skin sky sleep smoke snake snow soap soccer song soup space spider sport spring "
    "star statue steam steel stock stomach stone storm street student sugar summer sun sunset surgery sweater tax tea "
    "teacher telescope temple tennis theatre thunder tiger tomato tooth tornado tower toy train travel treasure tree "
    "triangle truck tsunami umbrella universe university vaccine valley vegetable vehicle village violin virus "
    "volcano wall war watch water wave wedding whale wheat wheel wind window wine winter wolf wood wool yoga zebra"
).split()
DOING = (
    "cook bake sing dance draw paint ski swim fish sew knit run a marathon|lose weight|sleep better|quit smoking|learn french|learn to drive|fix a flat tyre"
    "|tie a tie|grow tomatoes|train a puppy|make friends|write a novel|invest money|save money|clean a carpet|remove a stain|boil rice|fry fish|stop a nosebleed"
    "|start a garden|set up a tent|get a passport|get a driving licence|open a bank account|change a light bulb|cut onions|wash wool|play chess|play the guitar"
    "|build a table|make a paper plane|make an omelette|find a job|write a cv|thread a needle|stream a movie|create a budget|delete my browser history"
    "|cancel my gym membership|add fractions|use chopsticks|use excel|use photoshop|connect a printer|get a house key copied|choose a bicycle|start a business"
    "|run faster|stop hiccups|stop snoring|change my name|make a birthday card|get rich|find a flat|book a flight|install windows|reset my phone|tune a piano"
)
FIELD = (
    "physics chemistry biology astronomy geography history mathematics geometry algebra economics psychology "
    "philosophy medicine law art music literature religion politics sport cooking gardening fashion cinema "
    "architecture photography engineering"
).split()
WORK = (
    "poem story song letter haiku joke speech essay limerick novel riddle sonnet script play blog post tweet headline "
    "fairy tale toast email recipe review"
).split()
JOB = (
    "doctor teacher nurse engineer lawyer cook pilot farmer painter singer actor writer king queen president minister "
    "scientist inventor explorer composer"
).split()
FAMOUS = (
    "Einstein Newton Mozart Beethoven Cleopatra Caesar Shakespeare Goethe Picasso Rembrandt Galileo Darwin Gandhi "
    "Lincoln Washington Elvis Madonna Tesla Edison Aristotle Plato Columbus Magellan Dante Tolstoy Kafka Bach Chopin "
    "Michelangelo Kepler Curie Churchill Confucius Homer Vivaldi"
).split()
THEMES = "love|the sea|winter|spring|my dog|my cat|friendship|the moon|a rainy day|hope|time|christmas|a lost key|the wind|my grandmother|summer nights|a lonely robot|a $NOUN|the $NOUN|two $NOUNs|a $ANIMAL"

OUTSIDE: tuple[str, ...] = (
    "{what is|what's|tell me|do you know|name|which city is} the {capital|biggest city|population|area|currency|flag|president|king|language|national animal|highest mountain|longest river} of $COUNTRY",
    "{how many people|how many $NOUNs|how many $ANIMALs|how many islands|how many $NOUNs} {live in|are in|are there in|does it take in} {$COUNTRY|$CITY|the world|europe|africa|a forest}",
    "who {is|was} {the|} {president|king|queen|prime minister|chancellor|mayor|leader|emperor|inventor|first president} of {$COUNTRY|$CITY|the $NOUN}",
    "{who is|who was|when was|where was|tell me about|what did|what do you know about|how old is|biography of|quotes by} $WHO {|born|do|famous for|die|known for|}",
    "who {wrote|painted|invented|discovered|composed|built|directed|founded|designed|said|sang|won} {the $NOUN|the first $NOUN|$TITLE|the $NOUN and the $NOUN|a $NOUN|that song|this $NOUN}",
    "{what is|what's|how much is|calculate|compute|solve|work out} {$NUM plus $NUM|$NUM times $NUM|$NUM minus $NUM|$EXPR|$EXPR|$NUM divided by $NUM|the square root of $NUM|$NUM percent of $NUM|$NUM squared|the cube of $NUM|half of $NUM}",
    "{is $NUM a prime number|what are the factors of $NUM|solve x + $NUM = $NUM|what is the sum of $NUM and $NUM|how much is $NUM euros in dollars|add $NUM and $NUM|multiply $NUM by $NUM}",
    "{how many|how much} {miles|pounds|inches|feet|grams|cups|hours|seconds|days} {are|is|are there} in {$NUM kilometres|a kilo|a year|$NUM metres|a $NOUN|a week|$NUM ounces|a marathon}",
    "{give me|i need|do you have|find|write|tell me|i want|suggest} {a|the|your best|an easy|a quick} recipe for {$FOOD|$FOOD with $NOUN|vegan $FOOD|dinner|a birthday}",
    "how {do i|can i|do you|to|long do i|should i} {cook|bake|fry|boil|make|prepare|roast|grill} {$FOOD|$NOUN $FOOD|a $NOUN|an egg|rice|good $FOOD|chicken}",
    "what {should|could|can} i {eat|drink|wear|read|watch|do|buy|give my mother|cook} {tonight|today|tomorrow|this weekend|for dinner|on holiday|in $CITY|for lunch|for my birthday}",
    "{write|compose|create|make|invent|give me|tell me|i want|please write|can you write|could you write} {a|a short|a funny|a long|a sad|another|one} {$WORK} {about|on|for} {"
    + THEMES
    + "}",
    "{write|compose|draft|can you write|help me write|i need} {a letter|an email|a cover letter|an application|a complaint|a speech|an invitation|a thank you note|a cv|an essay} {to my boss|to my landlord|for a job as a $JOB|to $PERSON|for my wedding|about $NOUNs|for school|to the bank|}",
    '{translate|how do you say|what is|say} {"$PHRASE"|\'$PHRASE\'|the word $NOUN|$NOUN|"the $NOUN"|this sentence|hello|thank you|i love you} {in|into|to} $LANG',
    '{what does|what is the meaning of|define|explain} {the word|the term|the $LANG word|} {$NOUN|"$NAME"|$NAME} {mean|} {in $LANG|}',
    "{what is|what's|how is|how will} the weather {like|} {in|for|at|near} $CITY {today|tomorrow|now|this week|on $DAY|}",
    "{will it|is it going to|does it|did it} {rain|snow|be sunny|be hot|freeze|be windy} {in $CITY|tomorrow|today|on $DAY|this weekend|tonight|in $COUNTRY}",
    "{what time is it|what's the time|which day is it|what day is today|what is the date|how late is it} {in $CITY|in $COUNTRY|now|right now|today|}",
    "{write|show me|give me|can you write|i need|code|create} {a|an|some} {python|javascript|java|rust|bash|sql|html|c++|go} {function|program|script|class|code|snippet|query} {that|to|which|for} {sorts a list|adds two numbers|reads a file|counts words|prints primes|draws a $NOUN|finds a $NOUN|computes factorials|sorts $NOUNs|checks a palindrome}",
    "{fix|debug|review|explain|improve|refactor|correct} {my|this|the following} {python code|bug|javascript|css|sql statement|excel formula|html|program|loop|essay|homework|sentence|grammar|text}",
    "how {tall|big|old|heavy|deep|long|high|fast|far|hot|cold|large|expensive|wide} is {the $NOUN|a $NOUN|an average $NOUN|$CITY|a $ANIMAL|the biggest $NOUN|$WHO|the $NOUN of $COUNTRY|the sun|mars|jupiter}",
    "how far {is it|is} {from $CITY to $CITY|$CITY from $CITY|to $CITY|to mars|to the sun|from here to $COUNTRY|to the nearest $NOUN}",
    "{how|why|when|where} {do|does|did|can|will} {$NOUNs|a $NOUN|the $NOUN|$ANIMALs|a $ANIMAL|people|birds|children} {work|fly|sleep|grow|die|live|eat|move|shine|exist|begin|end|burn|freeze|fall|break|swim|sing|form|happen}",
    "{explain|describe|what is|tell me about|what do you know about|what are|give me facts about|teach me about|summarise} {$NOUN|the $NOUN|$NOUNs|$FIELD|the history of $COUNTRY|the theory of $NOUNs|black holes|dna|photosynthesis|the big bang|democracy|blockchain|relativity|the french revolution|the cold war|world war two|global warming|the stock market}",
    "{explain|what is} {$FIELD|$NOUN|the $NOUN} {to a child|in simple words|like i'm five|for a student|in detail|briefly}",
    "{tell me|do you know|make|give me|i want to hear} {a joke|a good joke|a story|something funny|a riddle|a fun fact|a secret|a joke about $NOUNs|a bedtime story|some gossip|a pun|an interesting fact}",
    "who {won|lost|played in|scored in|hosted|will win} the {football|tennis|basketball|chess|olympic|hockey|cricket|world cup|golf|rugby} {final|game|match|tournament|championship|games|} {in 1998|in 2006|yesterday|last year|in 2020|last night|this season|}",
    "{when|in which year} {was|did|were|is} {the $NOUN|$WHO|the first $NOUN|the war|world war one|$CITY|the $NOUN of $CITY|the $NOUN war|the middle ages|the titanic} {invented|born|end|begin|die|founded|built|discovered|start|sink|destroyed}",
    "{what are|tell me} the {symptoms|causes|dangers|advantages|colours|parts|names|types|ingredients|rules} of {$NOUN|a $NOUN|$NOUNs|the flu|cancer|chess|diabetes|$FOOD|a cold|measles|football}",
    "{i have|my child has|my $ANIMAL has|what helps against} {a headache|fever|a cold|a sore throat|back pain|a cough|a broken $NOUN|stomach ache|red spots}{|, what should i do|. what helps|, what can i take|}",
    "{recommend|suggest|what is|name|tell me|do you know} {a|me a|a good|the best|me a good} {book|film|movie|song|restaurant|hotel|game|series|wine|beach|present|museum|podcast} {about $NOUNs|in $CITY|for $PERSON|for children|about the $NOUN|for my friend|of all time|}",
    "{how do i|how can i|how to|teach me to|help me to|what is the best way to|tips to|i want to} {$DOING}",
    "{how do i|how can i|how to|help me} {$DOING} {at home|quickly|without $NOUNs|in $CITY|with a $NOUN|for free|as a beginner}",
    "{how do i|how can i|how would you|i want to|i need to} {make|create|build|draw|find|buy|repair|clean|open|sell|paint|get|move|grow|wash} {a|my|the|an old|a big|a new} {$NOUN|$NOUN|$THING|wooden $NOUN}",
    "where {is|are|can i find|can i buy|can i see|do i find|do i get|lies|did i put} {the $NOUN|a $NOUN|$CITY|$COUNTRY|my $NOUN|my $THING|the best $NOUN|$NOUNs|the nearest $NOUN|the eiffel tower|my glasses|the toilet|a good doctor}",
    "which {$NOUN|$ANIMAL|planet|country|city|river|language|mountain|element|colour|vitamin|bird|car|animal|company|painter} {is the|has the|is} {biggest|most|fastest|oldest|smallest|longest|heaviest|most expensive|best|richest} {$NOUN|$NOUNs|people|in the world|on earth|in $COUNTRY|of all|}",
    "{name|list|give me|tell me} {three|five|ten|some|a few|all|seven} {$NOUNs|$ANIMALs|rivers|mountains|countries in africa|famous $JOBs|planets|colours|european capitals|girls' names|good books|ideas for a party|$LANG words|names for my $ANIMAL}",
    "{plan|organise|help me plan|suggest} {a trip|a holiday|a weekend|a party|a tour|my day|a wedding|a diet|a workout|two weeks} {to $CITY|in $COUNTRY|for $NUM people|for my $NOUN|in $CITY|for me|}",
    "{should i|is it good to|is it safe to|would you|can i|am i allowed to} {buy a $NOUN|marry $PERSON|eat $FOOD every day|invest in $NOUNs|move to $CITY|study $FIELD|drink $NOUN|buy bitcoin|sell my $NOUN|call $PERSON|take $NUM pills}",
    "{what do you think|what is your opinion|how do you feel|what's your view|do you have an opinion} {about|on|of} {$NOUNs|the $NOUN|politics|$WHO|$COUNTRY|the election|football|climate change|modern art|religion|$FIELD}",
    "{what is|what's} {the meaning of life|love|happiness|your favourite $NOUN|your favourite colour|the best $NOUN|the speed of light|the chemical symbol of $NOUN|the boiling point of $NOUN|the atomic number of iron|the opposite of $ADJ|the plural of $NOUN|the square of $NUM|pi}",
    "{what's|what is|tell me|are there|is there|any|show me} {the latest|new|today's|the|} {news|headlines|news about $COUNTRY|news from $CITY|football results|stock prices|news on the $NOUN|weather report|lottery numbers}",
    "{what is|how high is|tell me} the {price|value|price today} of {gold|bitcoin|oil|a $NOUN|silver|a ticket to $CITY|a $THING|one dollar|petrol}",
    "{help me with|can you help me with|can you do|i need help with|explain} {my|our|the} {homework|$FIELD homework|$FIELD test|maths exercise|taxes|$LANG homework|garden|relationship|diet|essay on $NOUNs|exam in $FIELD}",
    "{summarise|summarize|tell me the plot of|review|what happens in|who plays in} {the book|the film|the novel|the movie|the opera|the article|} {$TITLE|the $NOUN|about the $NOUN|$TITLE and the $NOUN|by $WHO|star wars|titanic|faust}",
    "{convert|change} {$NUM} {miles|pounds|fahrenheit|inches|dollars|feet|litres|gallons|grams|yards} {to|into} {kilometres|kilograms|celsius|centimetres|euros|metres|pints|cups|ounces}",
    "{i am|i'm|i feel} {sad|tired|bored|hungry|in love|angry|lonely|sick|happy|stressed}{|, what should i do|. help me|, tell me something|. any advice}",
    "{do you like|do you know|have you seen|have you read|have you ever eaten|can you play|can you see} {$FOOD|$WHO|$CITY|the $NOUN|$TITLE|$NOUNs|music|chess|football|the sea|my $NOUN|star wars}",
    "{play|show me|call|open|buy|order|book|send|draw|paint|turn on|switch off} {a $NOUN|some music|my $NOUN|a picture of a $NOUN|$PERSON|a pizza|a taxi|the light|a table for two|a $ANIMAL|a flight to $CITY|youtube|the radio|a message to $PERSON}",
    "{which|what} {port is the biggest in $COUNTRY|key is on my piano|model of car is best|thread do i need for sewing|stream flows through $CITY|run is the longest marathon|header does a letter need|database has all the $NOUNs|tool do i need for a $NOUN|worker built the $NOUN}",
    "{how do i run a marathon|how do i thread a needle|where is my car key|how do i start my car|how do i stop a $ANIMAL|what is a key signature|who runs $COUNTRY|how to test blood|how do i stream a film|how do i make a $NOUN model|where can i dock a ship|what is a trade port|how do i change a tyre}",
    "{what happened|what was going on|who was famous|what was invented} in {$NUM|1789|1848|1914|1969|2001|$COUNTRY in 1900|$CITY last week|the year 1000|the stone age}",
    "{is|are|was|were} {$NOUNs|the $NOUN|a $NOUN|$WHO|$ANIMALs|$COUNTRY|$CITY} {dangerous|healthy|good|real|alive|expensive|poisonous|bigger than a $NOUN|older than $CITY|rich|beautiful|a $NOUN|in $COUNTRY}",
    "{$NOUN|$NOUNs|$FIELD|$WHO|$CITY|$COUNTRY|$FOOD recipe|$NOUN of $COUNTRY|$ADJ $NOUN|history of $NOUNs|weather $CITY|$EXPR|$PHRASE|best $NOUN in $CITY|$NOUN and $NOUN}",
    "{what if|imagine|suppose|pretend|let's say} {i was a $NOUN|you are a $NOUN|there were no $NOUNs|the $NOUN disappeared|we lived on mars|i had $NUM $NOUNs}{|, what then|. what would happen}",
    "{my|our} {$NOUN|$ANIMAL|$JOB|neighbour|boss|wife|husband|son|daughter} {is|has|wants|likes|needs|broke|hates|lost} {a $NOUN|$ADJ|my $NOUN|the $NOUN|$NOUNs|to $DOING}{|, what should i do|. what now|. help|, why}",
)

GREETING: tuple[str, ...] = (
    "{hi|hello|hey|good morning|good evening|good afternoon|hi there|hello there|hey there|greetings|hiya|howdy|yo|good day|hallo|salut|welcome|moin} {|you|guide|friend|everybody|everyone|sovereign|bot|assistant|there|all}",
    "{hi|hello|hey} {|there|you}{,|!|.} {how are you|how are you doing|nice to meet you|how do you do|what's up|are you there|how is it going|good to see you|anybody there|is anyone there}",
    "{how are you|how are you doing|what's up|are you there|nice to meet you|how is it going|anybody home|is anybody there|how do you do|are you ok|you there|how was your day}",
    "{test|testing|ping|can you hear me|does this work|is this on|just testing|testing testing|is this thing on|hello hello}",
)
THANKS: tuple[str, ...] = (
    "{thanks|thank you|thx|cheers|many thanks|thanks a lot|thank you very much|thank you so much|ta|great, thanks|ok thanks|perfect, thank you|thanks for your help|thank you for the help|that helped|that helps|that helped a lot|merci|danke|much appreciated|well done|good job|nice|great|perfect|cool|awesome|wonderful|excellent|good answer|ok|okay|i see|got it|understood|alright|fine|very good|good|super|great answer|very helpful|this was useful|so helpful|useful answer}",
)
GOODBYE: tuple[str, ...] = (
    "{bye|goodbye|good bye|see you|see you later|bye bye|good night|ciao|until next time|have a nice day|see you tomorrow|i have to go|that is all|that's all|that was all|nothing else|no more questions|i am leaving now|talk to you later|have a good evening|take care|so long|farewell} {|then|now|friend|thanks|for now|and thanks}",
)
