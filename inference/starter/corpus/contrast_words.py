# ruff: noqa: E501
"""What the contrasted tools are made of: lookups, qualities, pairs of actions, and arguments with their wordings.

Phrases are of the grammar. ``$N`` is the thing, ``$M`` several of it, ``$R`` the thing as a request refers to it
(``the boiler K12``), ``$Q`` and ``$A`` a quality and its adjective, ``$1`` an argument's value.
"""

# names / descriptions / requests
LOOKUPS = """
{get_$N_status|$N_status|check_$N|check_$N_status|$N_state|get_$N_state|status_of_$N} / {Status|Current status|State|Show the status|Check the status|Get the state} of {a|the} $N;{Check|Tell|Show} whether {a|the} $N is {all right|ready|up|working};{Tell|Show} how {a|the} $N is doing / {what is|what's|tell me|show me|check|give me|could you check|can you tell me} the {status|state|current status|condition} of $R;{is|is my|is our} $R {up|ready|ok|fine|done|finished|running|working|alive|available|free|still on|active|online|broken|late};how is $R {doing|going|getting on|};{has|did} $R {arrived|started|finished|changed|failed|been done|worked|stopped};what {is going on|happened|is the matter|about} {with|to} $R;check {on|} $R;does $R {work|run|still run|respond}
{track_$N|locate_$N|find_$N|where_is_$N|$N_location|get_$N_location|$N_position} / {Track|Locate|Find|Show where to find} {a|the} $N;{Position|Location|Whereabouts} of {a|the} $N;{Tell|Show} where {a|the} $N is / where is $R {now|right now|at the moment|};where's $R;{track|locate|find} $R;where {did|has} $R {go|gone|end up|got to};{when will|when does} $R {arrive|come|get here|be here};{how far away|how close|in which place} is $R;where can i find $R;i {can't|cannot} find $R
{get_$N|read_$N|show_$N|view_$N|fetch_$N|lookup_$N|find_$N|$N_details|get_$N_details|open_$N|load_$N|display_$N|$N_info} / {Get|Read|Show|View|Fetch|Display|Look up|Load|Return} {a|the|one} $N;{Find|Look up} {a|the} $N by its {number|name|id};{Details|Content|All details|Information} {of|about} {a|the} $N / {show|show me|read|read me|get|get me|fetch|display|look up|view|give me|bring up|pull up|print} $R;what {is|stands|does it say} in $R;{let me see|i want to see|can i see|may i see|can i read|i'd like to read} $R;{what do we know|tell me|tell me more|give me details|i need information} about $R;{what does|what did} $R {say|look like|contain|hold}
{list_$M|get_$M|all_$M|show_$M|my_$M|$N_list|find_$M} / {List|Show|Show all|Get} {the|all|all the|my} $M;{All|Overview of all|The list of} $M / {list|show|show me|give me} {all|all the|the|my|our} $M;{which|what} $M {are there|do we have|do i have|exist|are open|have we got};{do i|do we} have any $M;{are there|have i got} any {new|open|} $M;what are my $M
{$N_history|get_$N_history|$N_log|read_$N_log|$N_events|list_$N_changes} / {History|Log|Events|Past changes} of {a|the} $N;{Show|List|Read} {what happened to|the history of|the log of} {a|the} $N / what {happened to|has happened with|changed in} $R {lately|so far|yesterday|};{show|show me|read|list} the {history|log|events|changes} of $R;{who|when did somebody} {changed|touched|last changed} $R
{who_has_$N|$N_owner|get_$N_owner|find_$N_owner|$N_holder} / {Owner|Holder|Who is responsible} {of|for} {a|the} $N;{Tell|Find out|Show} {who owns|whose|who has} {a|the} $N / {who|which person} {has|owns|uses|takes care of|is responsible for} $R;whose is $R;{who is|tell me|name} the owner of $R
{$N_price|get_$N_price|price_of_$N|$N_cost|check_$N_price} / {Price|Cost|Current price} of {a|the} $N;{Tell|Show} {what|how much} {a|the} $N costs / how much {is|does} $R{ cost|};what {does $R cost|is the price of $R|do i pay for $R};{price|cost} of $R;is $R {cheap|expensive}
{count_$M|number_of_$M|$N_count} / {Count|Number of|Tell how many} $M {there are|};{How many|The number of} $M / how many $M {are there|do we have|have we got|do i have|exist};{count|tell me the number of} {the|all|my|our} $M;{what is|give me} the number of $M
{$N_schedule|get_$N_times|$N_times|when_$N|$N_calendar} / {Times|Schedule|Dates|When to expect} {of|for} {a|the} $N;{Show|Tell} {when|the times when} {a|the} $N {starts|is due|takes place} / when {is|does} $R {due|start|begin|end|take place};{at what time|on which day} {is|does} $R {due|start|begin|end};what is the schedule of $R;how long does $R {take|last}
{search_$M|find_$M|query_$M|lookup_$M|$N_search} / {Search|Find|Query|Look for} {the|all|some|} $M;{Search in|Look through} {the|all|our} $M / {search|find|look for|look up|search for} $R;is there {a|any} $R;{do we have|have we got} {a|} $R;{i am looking for|i'm searching for} $R
""".strip().splitlines()

# quality / adjectives: how much of it there is can be asked, and it can be set
QUALITIES = """
temperature / {hot|warm|cold|cool}
humidity / {humid|damp|dry}
level / {full|empty}
speed / {fast|slow|quick}
weight / {heavy|light}
height / {high|tall|low}
depth / {deep|shallow}
length / {long|short}
width / {wide|narrow|broad}
age / {old|new|young}
volume / {loud|quiet|noisy}
brightness / {bright|dark|dim}
load / {busy|loaded}
pressure / {tight|strong}
charge / {charged|full}
quality / {good|bad|reliable}
cleanliness / {clean|dirty|dusty}
distance / {far|near|distant}
size / {large|big|small}
capacity / {large|roomy}
strength / {strong|weak}
risk / {risky|dangerous|safe}
popularity / {popular|beloved}
thickness / {thick|thin}
delay / {late|delayed}
""".strip().splitlines()

# verbs in names / verbs in descriptions / requests; each line's two are opposites or near neighbours
ACTIONS = """
open|unseal|open_up / Open|Open up|Unseal / open {up|} $R;{let me|i want to get} into $R;i need $R open // close|shut|seal / Close|Shut|Seal / {close|shut|seal} $R;$R {should|must} be {closed|shut};nobody should get into $R
lock|bolt|secure / Lock|Bolt|Secure / {lock|bolt|secure} $R;{lock up|make sure nobody opens} $R // unlock|unbolt|release / Unlock|Unbolt|Release / {unlock|unbolt|release} $R;take the lock off $R
start|run|launch|turn_on|switch_on / Start|Run|Launch|Switch on|Turn on / {start|run|launch|turn on|switch on|fire up|begin} $R;{turn|switch} $R on;get $R going // stop|halt|end|turn_off|switch_off / Stop|Halt|End|Switch off|Turn off / {stop|halt|end|turn off|switch off|shut down} $R;{turn|switch} $R off;$R has to stop
restart|reboot|reset|relaunch / Restart|Reboot|Reset|Relaunch / {restart|reboot|reset|relaunch|bounce} $R;$R {hangs|is stuck|has crashed}, {restart|reboot} it // pause|suspend|hold / Pause|Suspend|Hold / {pause|suspend|hold|put on hold|interrupt} $R;$R can wait
cancel|call_off|abort|withdraw / Cancel|Call off|Abort|Withdraw / {cancel|call off|abort|withdraw} $R;i {don't want|no longer need|no longer want} $R;{please stop|i changed my mind about} $R // confirm|book|reserve / Confirm|Book|Reserve / {confirm|book|reserve} $R;i {want|would like|will take} $R;{keep|save} $R for me
delete|remove|erase|drop / Delete|Remove|Erase|Drop / {delete|remove|erase|drop|get rid of|throw away|wipe out} $R;{i don't need $R any more|$R can go|away with $R} // create|add|new|make|set_up / Create|Add|Make|Set up / {create|add|make|set up|register} {a|a new|} $R;i need a new $R;let's have {a|another} $R
write|save|edit|update / Write|Save|Edit|Update|Change / {write|save|edit|update|change|correct|revise} $R;{something|the text} in $R is wrong, {change|correct} it // copy|duplicate|clone / Copy|Duplicate|Clone|Make a copy of / {copy|duplicate|clone} $R;{make|i need} a {copy|double} of $R
rename|relabel|retitle / Rename|Relabel|Give a new name to / {rename|relabel} $R;{give|find} another name for $R;$R needs another name // merge|join|combine / Merge|Combine|Join / {merge|combine} $R;{put|bring} $R together {with the rest|}
split|divide|cut / Split|Divide|Cut / {split|divide|cut up} $R;make two of $R // compress|zip|shrink / Compress|Zip|Shrink / {compress|zip|shrink|pack} $R;make $R smaller
archive|store|put_away / Archive|Store|Put away / {archive|store|put away|file away} $R;keep $R {for later|in the archive} // restore|recover|bring_back / Restore|Recover|Bring back / {restore|recover|bring back|get back} $R;i {need|want} $R back
buy|purchase|order|get / Buy|Purchase|Order / {buy|purchase|order|get me} $R;i {want|would like|need} to {buy|have|order} $R // sell|offer|put_up / Sell|Offer for sale|Offer / {sell|put up for sale} $R;i {want|would like} to {sell|get rid of} $R;find a buyer for $R
pay|settle|pay_for / Pay|Pay for|Settle / {pay|pay for|settle} $R {now|please|};$R {must|has to|should} be paid // refund|pay_back|reimburse / Refund|Pay back|Reimburse / {refund|pay back|reimburse} $R;i want my money back for $R;give the money for $R back
approve|accept|allow / Approve|Accept|Allow / {approve|accept|allow|agree to} $R;{say|i say} yes to $R;$R is approved // reject|refuse|decline|deny / Reject|Refuse|Decline|Deny / {reject|refuse|decline|deny|turn down} $R;{say|i say} no to $R;$R is not {acceptable|allowed}
send|ship|deliver|dispatch / Send|Ship|Deliver|Dispatch / {send|ship|deliver|dispatch|send off|mail} $R;$R {can go out|should leave today} // return|send_back|give_back / Return|Send back|Give back / {return|send back|give back|take back} $R;$R {should|must} go back
lend|loan|lend_out / Lend|Lend out / {lend|lend out} $R;let {somebody|them} have $R for a while // borrow|rent|hire / Borrow|Rent|Hire / {borrow|rent|hire} $R;{can|may} i have $R for a {week|day|while}
renew|extend|prolong / Renew|Extend|Prolong / {renew|extend|prolong} $R;{i need|let me keep} $R {longer|for longer};$R {ends|runs out|expires} soon, {renew|extend} it // replace|exchange|swap / Replace|Exchange|Swap / {replace|exchange|swap} $R;{i need|give me} another {one|} instead of $R
enable|activate|allow / Enable|Activate / {enable|activate|switch on} $R;$R should {work|be active} {again|} // disable|deactivate|block / Disable|Deactivate|Block / {disable|deactivate|block} $R;$R {should|must} not work any more;$R was {stolen|lost}, {block|disable} it
join|enter|sign_up_for / Join|Enter|Sign up for / {join|enter|sign up for} $R;{sign|put} me up for $R;let me {into|be in|join} $R;add me to $R // leave|quit|exit / Leave|Quit|Exit / {leave|quit|exit|get me out of} $R;remove me from $R;i {don't|no longer} want to be in $R
subscribe|follow|watch / Subscribe to|Follow|Watch / {subscribe to|follow|watch} $R;{keep me informed|tell me every news} about $R // unsubscribe|unfollow|ignore / Unsubscribe from|Unfollow|Ignore / {unsubscribe from|unfollow|ignore} $R;{no more|i want no more} {news|messages} {of|from} $R
mute|silence|quiet / Mute|Silence / {mute|silence} $R;$R is too loud, {mute|silence} it;{no more|i don't want} sound from $R // unmute|sound_on / Unmute|Turn the sound on of / unmute $R;{let me hear $R again|turn the sound of $R on}
show|reveal|unhide / Show|Reveal|Unhide / {reveal|unhide|make visible} $R;everybody should see $R // hide|conceal|cover / Hide|Conceal|Cover / {hide|conceal|cover} $R;nobody should see $R;make $R invisible
upload|import|load / Upload|Import|Load / {upload|import|load} $R;{bring|put|take} $R into the system // download|export|save / Download|Export|Save / {download|export} $R;{get|i want} $R {onto|on} my {computer|disk}
install|set_up|mount / Install|Set up|Mount / {install|set up|mount|put in} $R;i {need|want} $R installed // uninstall|unmount|take_out / Uninstall|Unmount|Take out / {uninstall|unmount|take out} $R;$R should be taken out
connect|attach|plug_in / Connect|Attach|Plug in / {connect|attach|plug in|link} $R;$R should be connected // disconnect|detach|unplug / Disconnect|Detach|Unplug / {disconnect|detach|unplug} $R;{cut|pull the plug of} $R
fill|refill|top_up / Fill|Refill|Fill up / {fill|refill|fill up|top up} $R;$R is {empty|nearly empty}, {fill|refill} it // empty|drain|clear / Empty|Drain|Clear / {empty|drain|clear|clear out} $R;$R is too full, {empty|drain} it
heat|warm_up|preheat / Heat|Warm up|Preheat / {heat|warm up|heat up|preheat} $R;make $R {warm|warmer|hot|hotter} // cool|cool_down|chill / Cool|Cool down|Chill / {cool|cool down|chill} $R;make $R {cold|colder|cooler}
raise|lift|increase / Raise|Lift|Increase / {raise|lift|increase|turn up|put up} $R;{$R is too low, raise it|i want more of $R} // lower|reduce|decrease / Lower|Reduce|Decrease / {lower|reduce|decrease|turn down|bring down} $R;{$R is too high, lower it|i want less of $R}
clean|wash|wipe / Clean|Wash|Wipe / {clean|wash|wipe|scrub} $R;$R is {dirty|dusty|full of mud}, {clean|wash} it // dry|air|ventilate / Dry|Air|Ventilate / {dry|air|ventilate} $R;$R is {wet|damp}, {dry|air} it
feed|water|nourish / Feed|Nourish / {feed|nourish} $R;$R is hungry;give $R something to eat // walk|exercise|train / Walk|Exercise|Train / {walk|exercise|train} $R;{take|go} {out|for a walk} with $R
repair|fix|mend / Repair|Fix|Mend / {repair|fix|mend} $R;$R {is broken|has a defect|does not work}, {fix|repair} it // test|inspect|examine / Test|Inspect|Examine / {test|inspect|examine|try out} $R;{have|take} a {close|good} look at $R
report|flag|complain_about / Report|Flag / {report|flag|complain about} $R;{i want to report|there is a problem with} $R // rate|review|score / Rate|Review|Score / {rate|review|score|judge} $R;{give|i give} $R {a good mark|a bad mark}
assign|hand_over|delegate / Assign|Hand over|Delegate / {assign|hand over|delegate} $R;give $R to {somebody|a colleague|the team} // claim|take_over|pick_up / Claim|Take over|Pick up / {claim|take over|pick up} $R;i {will|can} {take|do|work on} $R
publish|post|release / Publish|Post|Release / {publish|post|release} $R;$R can go {public|online|live} // withdraw|unpublish|take_down / Withdraw|Unpublish|Take down / {unpublish|take down|take offline} $R;{take|get} $R off the {page|site|net}
print|print_out / Print|Print out / {print|print out} $R {please|};{i need|give me} $R on paper // scan|photograph|capture / Scan|Photograph|Capture / {scan|photograph|capture} $R;take a {picture|photo} of $R
move|relocate|bring / Move|Relocate|Bring / {move|relocate|bring|carry} $R {somewhere else|to another place|};$R stands in the way // turn|rotate|flip / Turn|Rotate|Flip / {turn|rotate|flip} $R {around|};$R is {upside down|the wrong way round}
invite|welcome|call_in / Invite|Welcome|Call in / {invite|welcome|call in} $R;ask $R to come // dismiss|expel|throw_out / Dismiss|Expel|Throw out / {dismiss|expel|throw out} $R;$R {has to|must} {go|leave}
like|praise|recommend / Like|Praise|Recommend / {like|praise|recommend} $R;i {love|really like} $R // dislike|complain|warn_of / Dislike|Warn of / {dislike|warn of|warn everybody of} $R;i {hate|can't stand} $R
play|perform|put_on / Play|Perform|Put on / {play|perform|put on} $R;{let me|i want to} hear $R // skip|jump_over|omit / Skip|Jump over|Omit / {skip|jump over|omit|leave out} $R;{not|i don't want} $R {now|again}, {go on|the next one}
encrypt|protect|guard / Encrypt|Protect|Guard / {encrypt|protect|guard} $R;nobody should be able to read $R // decrypt|expose|crack / Decrypt|Expose|Crack / {decrypt|expose|crack} $R;make $R readable again
translate|convert|transform / Translate|Convert|Transform / {translate|convert|transform} $R;{i need|give me} $R in another {form|language} // summarise|shorten|abridge / Summarise|Shorten|Abridge / {summarise|shorten|abridge} $R;{tell|give} me $R in {a few words|short}
sort|arrange|order / Sort|Arrange|Put in order / {sort|arrange|put in order} $R;bring order into $R // shuffle|mix|stir / Shuffle|Mix|Stir / {shuffle|mix|stir|mix up} $R;{mix|stir} everything in $R
promote|upgrade|boost / Promote|Upgrade|Boost / {promote|upgrade|boost} $R;i {want|need} a better $R;$R {deserves|needs} {an upgrade|more} // demote|downgrade|cut_back / Demote|Downgrade|Cut back / {demote|downgrade|cut back} $R;a simpler $R {will do|is enough}
schedule|plan|arrange / Schedule|Plan|Arrange / {schedule|plan|arrange} $R;{put|enter} $R {in|into} the calendar // postpone|delay|put_off / Postpone|Delay|Put off / {postpone|delay|put off} $R;$R {should|has to|must} {be later|wait until later}
""".strip().splitlines()

# names of the argument / where it stands in a request / kind of value; a name that is a unit wants the bare number
ARGUMENTS = """
minutes,duration_minutes,mins / for $1 minutes / NUM
hours,hour_count,duration_hours / for $1 hours / NUM
days,number_of_days,day_count / {for|over|over the next|during the next} $1 days / NUM
nights,night_count / for $1 nights / NUM
people,guests,persons,seats / for $1 {people|guests|persons} / NUM
amount,price,sum,euros,total / {for|of|with} $1 {euros|dollars|pounds|francs|euros} / NUM
grams,weight_grams,kilos,kilograms / {of|with} $1 {grams|kilos|kilograms} / NUM
kilometres,distance_km,miles,metres / {of|over|for} $1 {kilometres|miles|metres} / NUM
percent,level,percentage,value / to $1 {percent|} / NUM
degrees,temperature,celsius / {at|to} $1 degrees / NUM
stars,points,rating,score / with $1 {stars|points} / NUM
count,quantity,copies,times / $1 times / NUM
size,limit,maximum,target / to $1 / NUM
day,date,when,start_day / {on|for|from|next} $1 / DAYNAME
date,day,due,deadline / {on|for|by|until} $1 / DATE
time,at,hour,start_time / at $1 / TIME
city,place,location,town / {in|near|from} $1 / CITY
to_city,destination,target_city / to $1 / CITY
country,land / in $1 / COUNTRY
person,user,assignee,recipient,for_whom,who / {for|to|with} $1 / PERSON
company,firm,organisation,employer / {from|of|by} $1 / FIRM
email,address,mail,contact / {for|to|with the address|by mail to} $1 / EMAIL
subject,topic,about,theme / {about|on} {the|} $1 / WORDS
reason,why,cause,explanation / because $1 / STATE
room,where,location,area / in the $1 / ROOM
colour,color,paint / in $1 / COLOUR
language,target_language / {in|into} $1 / LANG
version,release,tag / {version|in version|to version} $1 / VERSION
text,note,message,comment / {with the {note|message|words}|saying} "$1" / PHRASE
project,team,group,channel / {in|for|of} the {project|team|group} $1 / SLUG
folder,directory,path,file / {in|into|to} $1 / FILE
code,reference,key / with {the|} {code|reference|key} $1 / CODE
phone,telephone,number / {under|with} the {number|phone number} $1 / PHONE
""".strip().splitlines()

# things beside those of ``tool_compositions``
THINGS = """
shop|lease|tank|kettle|barbecue|lawn|hedge|canary|puppy|goldfish|orchard|vineyard|well|drain|furnace|radiator|chimney|cellar|attic|carpet|mattress|helmet|skateboard|sledge|kayak|yacht|harbour|crane|forklift|conveyor|turbine|generator|battery|solar roof|wind mill|antenna|router|modem|switchboard|laptop|tablet|headset|microphone|recording|interview|draft|essay plan|thesis|chapter list|glossary|survey result|ballot|petition list|treaty|verdict|fine|mortgage|pension|salary|bonus|payslip|timesheet|shift|roster|vacancy|application|candidate|intern|mentor|volunteer|donor|sponsor|subscriber|visitor pass|tenant|landlord|neighbour|driver|courier tour|pilot|passenger|conductor|cashier|waiter|chef|gardener|plumber|locksmith|surgeon|dentist visit|blood test|x-ray|bandage|vitamin|ointment|stretcher|ambulance|fire engine|patrol|checkpoint|barrier|turnstile|escalator|fountain pump|statue|mural|sculpture|canvas|choir|orchestra|symphony|ringtone|jingle|podium|stage|costume hire|rehearsal|premiere|trailer clip|subtitle|trophy|tournament|referee|stadium|ski pass|locker key|membership|reservation|itinerary|excursion|hostel|campsite|caravan|suitcase|luggage|boarding pass|runway|hangar|lighthouse|ferry pass|buoy|anchor|trawler|net|greenhouse fan|compost|fertiliser|crop|silo|stable|paddock|saddle|kitten|parrot|terrarium|habitat|nest|trap|beacon|probe|sample tube|microscope|centrifuge|experiment|formula|theorem|simulation|render|shader|sprite|level map|avatar|quest|inventory slot|wallet key|ledger|journal entry|bookkeeping|audit|inspection note|warranty|spare part|gearbox|clutch|brake|tyre set|windscreen|number plate|toll|speed camera|crossing|roundabout|detour|pothole|street lamp|recycling bin|waste bin|container yard|tool shed|workbench|lathe|kiln|loom|sewing kit|pattern|fabric|curtain rail|wardrobe|drawer|bookshelf|cupboard|chandelier|candle|lantern|firework|balloon|raffle|lottery draw|auction|bid|bargain|catalogue|brochure|flyer|logo|slogan|keyword|ranking|webinar|tutorial|lecture|seminar|scholarship|diploma|semester|timetable|canteen|cloakroom|lost item|key card|safe|vault|alarm bell|smoke detector|thermometer|barometer|clock|calendar sheet|stamp|envelope|telegram|fax|hotline|chat room|forum|thread list|poll result|hashtag|feed|story|reel|profile picture|nickname|login|session|cookie|certificate request|subnet|gateway|proxy|load balancer|namespace|pod|container image|schema|migration|shard|replica|partition|trigger|webhook|feature flag|workflow|runbook|incident note|changelog|patch|hotfix|plugin|widget|theme|template|font|icon
""".strip().split("|")
