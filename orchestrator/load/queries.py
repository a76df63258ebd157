"""What people search for: half from a small popular pool, half new (spec 4.1). A pure function of random bytes."""

from __future__ import annotations

from hashlib import blake2b


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MOODS = _words("""scary funny romantic dark uplifting slow tense gritty silly moving epic quirky violent gentle surreal clever bleak warm
nostalgic mysterious animated black-and-white award-winning underrated classic recent foreign low-budget short family""")
_KINDS = _words("""movies films series shows documentaries thrillers comedies dramas westerns musicals anime horror-films
mini-series cartoons biopics mysteries""")
_TOPICS = _words("""space robots dragons pirates detectives vampires zombies wizards spies cowboys dinosaurs aliens ghosts football boxing
cooking music war chess dancing racing heists prisons hospitals lawyers journalists politicians farmers fishermen astronauts
sisters brothers grandparents weddings divorce friendship betrayal revenge memory dreams identity loneliness survival islands
deserts jungles oceans mountains trains submarines castles suburbs villages cities winter summer christmas halloween school
university orphans twins dogs horses cats wolves sharks bees volcanoes earthquakes plagues hackers artificial-intelligence clones
time-travel parallel-worlds magic curses treasure maps letters paintings violins circuses theatres hotels lighthouses bakeries""")
_LINKS = _words("with and against without versus near from like beyond featuring")
_MIN_WORDS, _WORD_COUNTS = 3, 18  # 3 to 20 words. Source: spec 4.1, "Query complexity: 3-20 words"

PHRASE_BYTES = 2 + 20
"""How many random bytes a phrase takes."""


def phrase(random: bytes) -> str:
    """A query of 3 to 20 words, e.g. `scary movies about space with robots`."""
    length = _MIN_WORDS + random[0] % _WORD_COUNTS
    words = [_MOODS[random[2] % len(_MOODS)], _KINDS[random[3] % len(_KINDS)]]
    link = "about"
    for at in range(4, 22, 2):
        if length - len(words) >= 2:
            words.append(link)
        if length > len(words):
            words.append(_TOPICS[random[at] % len(_TOPICS)])
        link = _LINKS[random[at + 1] % len(_LINKS)]
    return " ".join(words)


POPULAR = tuple(phrase(blake2b(f"popular {number}".encode(), digest_size=PHRASE_BYTES).digest()) for number in range(50))


def query(random: bytes) -> str:
    """A search as a user would type it: popular or new with the same chance. Takes PHRASE_BYTES random bytes."""
    if random[1] & 1:
        return POPULAR[random[2] % len(POPULAR)]
    return phrase(random)
