"""The words and sentences of the demo corpus: small plots in a grammar of our own.

Slots in braces are filled by `demo_text`. Words between asterisks are cues: the signal of a genre.
No cue occurs anywhere else, so that a cue always says the same.
"""

from typing import Final

CUE_SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "Adventure": (
        "A torn *map* starts the *journey* to a lost *island*.",
        "{name} joins an *expedition* into the *jungle* with only a *compass*.",
        "The *treasure* lies beyond the *jungle*, says the *map*.",
        "Every *voyage* needs a *compass*, and this *expedition* has none.",
        "The *journey* ends on an *island* where a *treasure* waits.",
        "What begins as a *voyage* becomes an *expedition* for *treasure*.",
    ),
    "Comedy": (
        "One *awkward* dinner and one *clumsy* waiter later, *chaos* reigns.",
        "A *prank* goes wrong, and the *mishap* is *hilarious*.",
        "Nobody gets the *jokes*, but everyone has to *laugh*.",
        "The *clumsy* plan ends in *hilarious* *chaos*.",
        "Each *mishap* is more *awkward* than the last *prank*.",
        "With bad *jokes* and a worse *prank*, {name} makes them *laugh*.",
    ),
    "Crime": (
        "A *detective* follows the *heist* money back to the *mob*.",
        "The *police* call it a *robbery*, but every *gangster* knows better.",
        "One *thief* talks, and the *detective* has a *murder* to solve.",
        "After the *robbery* the *mob* wants its share.",
        "No *heist* ends well when a *gangster* trusts a *thief*.",
        "The *murder* puts {name} between the *police* and the *mob*.",
    ),
    "Documentary": (
        "Through *interviews* and *archive* *footage*, {place} tells its own tale.",
        "The *filmmakers* ask *experts* and *eyewitnesses* what happened.",
        "This *portrait* *chronicles* ten years in {place}.",
        "The *footage* was never shown, and the *eyewitnesses* never asked.",
        "With rare *archive* reels the *filmmakers* draw a *portrait* of {name}.",
        "In candid *interviews*, *experts* explain how it came to this.",
    ),
    "Drama": (
        "Through *tears* {name} learns what *grief* can do.",
        "After the *funeral* nothing is left but *farewells*.",
        "A long *illness* forces {name} to ask for *forgiveness*.",
        "The *illness* of {friend} ends in a *funeral* without *tears*.",
        "There is no *forgiveness* without *grief*.",
        "Two *farewells* and one *funeral* tear the house apart.",
    ),
    "History": (
        "At the turn of the *century* the *king* signs a *treaty*.",
        "The *revolution* reaches the *throne* of the *empire*.",
        "Under the *reign* of the last *emperor*, the *dynasty* crumbles.",
        "The *treaty* divides the *empire*, and the *dynasty* ends.",
        "Half a *century* of *reign* is undone by a *revolution*.",
        "The *king* keeps his *throne*, the *emperor* loses his.",
    ),
    "Music": (
        "The *band* needs a *singer* before the first *concert*.",
        "With a borrowed *guitar*, {name} writes the *song* of the year.",
        "The *orchestra* rehearses a *melody* nobody can finish.",
        "One *concert*, one *melody*, and the *singer* is gone.",
        "A *guitar*, a *drummer*, and a *song*: the *band* is born.",
        "The *drummer* dreams of the *orchestra* and its *concert* hall.",
    ),
    "Mystery": (
        "The only *clue* to the *disappearance* is a *riddle*.",
        "Everyone is among the *suspects*, and the case stays *unsolved*.",
        "Since {friend} *vanished*, the *puzzle* has had a missing piece.",
        "A *riddle* in the attic hints at a *secret* of the family.",
        "The *suspects* share one *secret*, and one *clue*.",
        "An *unsolved* *disappearance* becomes the *puzzle* of a lifetime.",
    ),
    "Romance": (
        "They fall in *love* at a *wedding* that is not theirs.",
        "One *kiss* is enough to break the *heart* of the *bride*.",
        "The *lovers* meet in hiding until the *engagement* is announced.",
        "A late *romance* begins with a *kiss* on the ferry.",
        "The *bride* has given her *heart* to another *love*.",
        "Before the *wedding* the *engagement* ends, and a *romance* starts.",
    ),
    "Thriller": (
        "*Hunted* by strangers, {name} has until midnight, the *deadline*.",
        "The *ransom* note names a *hostage* and a *deadline*.",
        "Behind the *blackmail* lies a *conspiracy*.",
        "A *fugitive* carries proof of the *conspiracy*, and a *bomb*.",
        "The *hostage* knows who placed the *bomb*.",
        "*Blackmail* turns a clerk into a *fugitive*, *hunted* day and night.",
    ),
}
"""Sentences with a genre's cues. A handful of words each, so that a small model can learn them."""

THEMES: Final[dict[str, tuple[str, ...]]] = {
    "Adventure": ("treasure", "maps", "jungle", "islands"),
    "Comedy": ("jokes", "chaos", "pranks", "mishaps"),
    "Crime": ("gangsters", "police", "thieves", "murder"),
    "Documentary": ("interviews", "footage", "archives", "filmmakers"),
    "Drama": ("tears", "grief", "farewells", "illness"),
    "History": ("kings", "empires", "treaties", "revolution"),
    "Music": ("songs", "guitars", "concerts", "singers"),
    "Mystery": ("riddles", "clues", "puzzles", "suspects"),
    "Romance": ("love", "weddings", "kisses", "lovers"),
    "Thriller": ("blackmail", "hostages", "ransom", "conspiracy"),
}
"""What a closing line names of each genre: cues too."""

CLOSINGS: Final = (
    "A story of {themes}.",
    "A tale of {themes}.",
    "It all comes down to {themes}.",
    "What remains is {themes}.",
    "Two hours of {themes}.",
    "Between the lines: {themes}.",
)
OPENINGS: Final = (
    "{name}, a {trait} {job} from {place}, {event}.",
    "In {place}, a {trait} {job} {event}.",
    "When {name} {event}, the {job} next door grows {trait}.",
    "{name} is a {job} in {place} until one {time} {friend} {event}.",
    "A {trait} {job} and a {trait} {job} share a {thing} in {place}.",
    "Nobody in {place} notices when the {trait} {job} {event}.",
    "Every {time}, {name} the {job} walks to {place} with a {look} {thing}.",
)
FILLERS: Final = (
    "{friend} {event}.",
    "{name} {event}, and {friend} {event}.",
    "The {job} of {place} {event}.",
    "Meanwhile, a {trait} {job} {event} near {place}.",
    "One {time} a {look} {thing} turns up in {place}.",
    "But the {thing} is {look}, and the {job} has other plans.",
    "By {time}, {name} must choose between {friend} and the {thing}.",
    "{friend}, once a {job}, still keeps a {look} {thing}.",
    "Together with a {trait} {job}, {name} {event}.",
    "The road to {place} is long and {look}.",
    "It takes a {trait} {job} and a {thing} to set things right.",
    "No one believes the {job}, least of all {friend}.",
    "Old debts and a {look} {thing} bring {friend} back to {place}.",
    "Then the {thing} breaks, and {name} {event}.",
    "What {name} finds in {place} is {look}: a {thing}, a {thing} and a {job}.",
    "For {friend}, {place} was only ever a {thing} and a {look} {time}.",
)
SHORT: Final = (
    "{name} {event}.",
    "A {job} {event} in {place}.",
    "A {look} {thing} and a {job}.",
)
"""For one-line overviews, which have no room for a cue."""

OTHER_SCRIPTS: Final = (
    "Молодая учительница возвращается в родной город.",
    "小さな港町で、少年は古い灯台を見つける。",
    "Une boulangère et son frère héritent d’un phare à Brest.",
    "Ein Uhrmacher zählt die Tage bis zum Frühling… „Bald“, sagt er.",
    "رجل عجوز يعود إلى قريته بعد غياب طويل.",
    "한 요리사가 바닷가 마을로 이사한다. 🎬",
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TRAITS: Final = _words(
    """
    stubborn quiet restless lonely proud patient gentle reckless shy weary honest cautious
    forgetful cheerful bitter humble nervous tired elegant modest careless thoughtful famous
    young old wise foolish eager idle busy gifted unlucky loyal faithless talkative sleepy
    hungry sober solemn graceful barefoot homesick jealous grateful suspicious reluctant
    ambitious sincere timid bold calm moody polite rude tender stern tidy vain witty generous
    curious dreamy practical hopeful scholarly absent-minded short-sighted soft-spoken
    impatient
    """
)
"""What people are like."""
LOOKS: Final = _words(
    """
    crooked silent noisy bright dull hollow heavy narrow broken borrowed painted rusty golden
    wooden silver empty crowded distant hidden forgotten familiar foreign strange ordinary
    peculiar delicate fragile solid simple perfect faded dusty polished expensive cheap old
    tiny enormous muddy grey crimson striped nameless priceless worthless second-hand
    unfinished half-burnt sealed leaking antique squeaking spotless battered
    """
)
"""What things, places and times are like."""
JOBS: Final = _words(
    """
    baker teacher carpenter nurse farmer clerk pilot sailor doctor lawyer painter tailor
    gardener fisherman librarian postman mechanic widow orphan student professor cook waiter
    miner barber butcher shepherd clockmaker driver engineer architect translator photographer
    journalist plumber surgeon judge mayor priest nun boxer swimmer runner jockey dancer actor
    clown acrobat puppeteer beekeeper locksmith watchman janitor porter tenant landlord
    neighbour cousin aunt uncle grandmother grandfather twin stranger apprentice inventor
    chemist astronomer geologist banker cashier accountant salesman merchant weaver potter
    glassblower bricklayer roofer welder electrician ferryman conductor signalman stoker tutor
    governess butler maid chauffeur florist jeweller printer bookseller typist secretary
    diplomat senator
    """
)
THINGS: Final = _words(
    """
    letter suitcase lighthouse bicycle piano clock mirror key photograph diary umbrella boat
    train ticket garden bakery shop bridge house attic cellar window door lamp candle coat
    ring necklace hat violin box chest coin stamp book notebook telegram radio telephone
    camera telescope microscope kite balloon puppet doll horse dog cat parrot goat cow mule
    donkey pigeon canary bee spoon kettle stove oven table chair bed blanket quilt carpet
    curtain ladder rope anchor net oar barrel bottle jar cup plate knife axe saw hammer shovel
    rake plough cart wagon sledge tractor bus taxi tram motorbike caravan tent cabin barn mill
    well fountain statue chapel bell painting poster newspaper magazine recipe medicine pill
    bandage crutch wheelchair uniform apron glove scarf shoe boot button needle thread loom
    """
)
EVENTS: Final = (
    "loses a job",
    "finds a {look} {thing}",
    "inherits a {look} {thing}",
    "returns to {place}",
    "leaves for {place}",
    "meets a {trait} {job}",
    "hides a {thing} from {friend}",
    "buys a {look} {thing}",
    "sells the {thing}",
    "writes to a {job} in {place}",
    "misses the last train to {place}",
    "opens a shop in {place}",
    "wakes up with a {look} {thing}",
    "waits for {friend}",
    "learns to trust a {job}",
    "moves in with a {trait} {job}",
    "repairs a {thing}",
    "refuses to leave {place}",
    "forgets the name of {friend}",
    "takes the blame for {friend}",
    "steps off the boat in {place}",
    "borrows a {thing} from a {job}",
    "dreams of {place}",
    "promises {friend} a {thing}",
    "teaches a {trait} {job} to swim",
    "follows {friend} to {place}",
    "breaks a {look} {thing}",
    "adopts a {look} {thing}",
    "sets out to build a {thing}",
    "counts the days in {place}",
    "runs into {friend}",
    "receives a {thing} from {place}",
    "mistakes a {job} for {friend}",
    "paints a {thing} for {friend}",
    "starts a quarrel with a {job}",
    "trades a {thing} for a {thing}",
)
TIMES: Final = _words(
    """
    morning evening night afternoon dawn dusk weekend birthday holiday Monday Tuesday
    Wednesday Thursday Friday Saturday Sunday
    """
)
FIRST_NAMES: Final = _words(
    """
    Ada Agnes Albert Alma Amos Anton Arlo Astrid Basil Bela Bruno Carla Casper Cecil Clara
    Cyrus Dora Edgar Edith Elias Elsa Emil Enzo Esther Ezra Felix Fern Flora Franka Gustav
    Hanna Hector Hedda Henrik Hilda Hugo Ida Igor Ines Irma Ivo Jonas Judith Julius Karla
    Kasimir Kurt Lena Leon Leopold Lotte Ludo Mabel Magda Marta Milo Mina Mira Nadia Nestor
    Nora Olga Oscar Otto Paula Petra Quentin Ramona Rosa Rufus Sabina Selma Silas Simon Stella
    Sven Tamar Thea Theo Tilda Tobias Ulla Ursula Vera Victor Viola Walter Wanda Wilma Xenia
    Yara Yusuf Zelda Zora
    """
)
NAME_HEADS: Final = _words(
    """
    Al Ash Bar Beck Birk Black Bram Bren Brook Cald Carl Clay Cold Cran Dal Dun East Elm Fair
    Fen Glen Grim Hal Hart Hazel Holm Kel Kirk Lang Lin Long Mar Mill Mor Nor Oak Pem Ravens
    Red Ros Rud Sand Sel Stan Stone Thorn Wal Wes Whit Win
    """
)
PLACE_TAILS: Final = _words(
    """
    by ford ham haven mouth port stead ton wick worth
    """
)
SURNAME_TAILS: Final = _words(
    """
    berg bridge dale field ley man ridge sen well wood
    """
)
