"""The catalogue: 10,000 deterministic titles and the vectors that stand for their texts."""

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from random import Random

import numpy as np
from numpy.typing import NDArray

from sandbox.data.words import ADJECTIVES, GENRES, HEROES, NOUNS, PLACES, PLATFORMS, STAKES

DIMENSIONS = 768
COUNT = 10_000
_SEED = 20_261
_WORD = re.compile(r"[a-z0-9]+")
# Words that say nothing about an item: they would pull every query towards every overview.
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a about an and any are as at before films film for from in is it me movie movies of on one or series show shows "
        "some that the their they this to until watch when while who with without",
    )
)


@dataclass(frozen=True, slots=True)
class Item:
    """One title of the catalogue; `number` is its point id in the vector store, popularity is 0 to 1."""

    id: str
    number: int
    title: str
    overview: str
    release_year: int
    genres: tuple[str, ...]
    platforms: tuple[str, ...]
    popularity_score: float

    @property
    def text(self) -> str:
        """What the item's vector is made of."""
        return f"{self.title} {' '.join(self.genres)} {self.overview}"


def catalogue(count: int = COUNT) -> list[Item]:
    """The first `count` items, numbers 1 to `count`; the same ones at every call."""
    return [_item(number) for number in range(1, count + 1)]


def vector(item: Item) -> NDArray[np.float32]:
    """The item's vector, float32[768], length 1."""
    return embed(item.text)


def embed(text: str) -> NDArray[np.float32]:
    """A text's direction, float32[768], length 1: the sum of its words' directions; texts that share words are near."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]
    total = np.zeros(DIMENSIONS, dtype=np.float32)
    for word in words or [text]:
        total += _direction(word)
    return total / np.float32(np.linalg.norm(total))


@lru_cache(maxsize=50_000)
def _direction(word: str) -> NDArray[np.float32]:
    """The fixed random direction of a word; a hash seeds it, so that every process agrees."""
    seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
    direction = np.random.default_rng(seed).standard_normal(DIMENSIONS, dtype=np.float32)
    return direction / np.float32(np.linalg.norm(direction))


def _item(number: int) -> Item:
    # One generator per item: an item stays what it is whatever the size of the catalogue.
    rng = Random(f"{_SEED}:{number}")
    genres = tuple(rng.sample(sorted(GENRES), k=rng.choice((1, 2, 2, 3))))
    topics = rng.sample([word for genre in genres[:2] for word in GENRES[genre]], k=3)
    return Item(
        id=f"content-{number:05d}",
        number=number,
        title=_title(rng, topics[0]),
        overview=_overview(rng, topics),
        release_year=max(1930, 2026 - int(rng.expovariate(1 / 12))),
        genres=genres,
        platforms=tuple(sorted(rng.sample(PLATFORMS, k=rng.choice((1, 1, 2, 3))))),
        popularity_score=round(rng.betavariate(1.2, 4.0), 4),
    )


def _title(rng: Random, topic: str) -> str:
    shape = rng.randrange(4)
    adjective, noun = rng.choice(ADJECTIVES), rng.choice(NOUNS)
    if shape == 0:
        return f"The {adjective} {noun}"
    if shape == 1:
        return f"{adjective} {topic.capitalize()}"
    if shape == 2:
        return f"{noun} of the {adjective} {topic.capitalize()}"
    return f"{topic.capitalize()} {noun}"


def _overview(rng: Random, topics: list[str]) -> str:
    hero, place, stakes = rng.choice(HEROES), rng.choice(PLACES), rng.choice(STAKES)
    first, second, third = topics
    return f"{hero.capitalize()} {place} must face a story of {first}, {second} and {third} {stakes}."
