"""Word lists from which the catalogue's titles and overviews are made."""

# Every genre has its own vocabulary, so that a query such as "scary movies about space" lands near the items it means.
GENRES: dict[str, tuple[str, ...]] = {
    "Horror": ("scary", "haunted", "terrifying", "nightmare", "ghost", "cursed", "creature", "dread"),
    "Science Fiction": ("space", "alien", "robot", "future", "planet", "starship", "galaxy", "colony"),
    "Comedy": ("funny", "hilarious", "awkward", "prank", "laugh", "clumsy", "witty", "silly"),
    "Drama": ("family", "grief", "secret", "marriage", "struggle", "hope", "betrayal", "forgiveness"),
    "Action": ("explosive", "chase", "fight", "mission", "mercenary", "rescue", "heist", "revenge"),
    "Romance": ("love", "romantic", "wedding", "heart", "letter", "kiss", "longing", "summer"),
    "Thriller": ("suspense", "killer", "conspiracy", "hostage", "stalker", "twist", "tense", "blackmail"),
    "Fantasy": ("magic", "dragon", "wizard", "kingdom", "prophecy", "enchanted", "quest", "elves"),
    "Mystery": ("detective", "murder", "clue", "missing", "riddle", "unsolved", "witness", "alibi"),
    "Animation": ("cartoon", "talking", "animals", "colourful", "adventure", "toys", "musical", "kids"),
    "Documentary": ("true", "interview", "archive", "history", "nature", "science", "ocean", "war"),
    "Crime": ("gangster", "police", "robbery", "mafia", "prison", "detectives", "drug", "corrupt"),
    "Western": ("cowboy", "desert", "outlaw", "sheriff", "frontier", "ranch", "gold", "duel"),
    "Sport": ("football", "boxing", "team", "coach", "champion", "underdog", "race", "training"),
}

PLATFORMS: tuple[str, ...] = (
    "netflix",
    "prime_video",
    "disney_plus",
    "hulu",
    "max",
    "apple_tv",
    "paramount",
    "peacock",
)

ADJECTIVES: tuple[str, ...] = (
    "Silent", "Crimson", "Last", "Broken", "Golden", "Hidden", "Burning", "Frozen", "Distant", "Hollow",
    "Midnight", "Savage", "Gentle", "Endless", "Forgotten", "Electric", "Quiet", "Wild", "Paper", "Iron",
    "Velvet", "Restless", "Second", "Bitter", "Radiant", "Lonely", "Northern", "Perfect", "Stolen", "Wandering",
)  # fmt: skip

NOUNS: tuple[str, ...] = (
    "Harbour", "Signal", "Orchard", "Empire", "Garden", "Horizon", "Mirror", "River", "Station", "Winter",
    "Voyage", "Shadow", "Promise", "Island", "Lantern", "Machine", "Border", "Tide", "Crown", "Echo",
    "Highway", "Carnival", "Letter", "Mountain", "Orbit", "Stranger", "Storm", "Valley", "Circus", "Archive",
)  # fmt: skip

HEROES: tuple[str, ...] = (
    "a retired teacher", "two sisters", "a young pilot", "an old sailor", "a gifted child", "a small-town doctor",
    "a rookie reporter", "four friends", "a stubborn widow", "a disgraced officer", "a lonely engineer",
    "a street musician", "twin brothers", "a night nurse", "an exiled prince", "a failed actor", "a truck driver", "a chess prodigy",
)  # fmt: skip

PLACES: tuple[str, ...] = (
    "in a fishing village", "on a research station", "in a crumbling hotel", "on a night train", "in post-war Berlin",
    "in a mining town", "at a mountain school", "in the suburbs of Lagos", "on a remote island", "in a flooded city",
    "at the edge of the desert", "in 1970s New York", "beneath the ice", "in a travelling circus", "in rural Japan",
    "in the harbour of Lisbon",
)  # fmt: skip

STAKES: tuple[str, ...] = (
    "before the winter ends", "with only one night left", "against everyone's advice", "while the town looks away",
    "and nobody is who they seem", "at a price they never expected", "as old debts come due", "one mistake at a time",
    "when the lights go out", "until the truth comes out", "without ever speaking of it", "with the world watching",
)  # fmt: skip
