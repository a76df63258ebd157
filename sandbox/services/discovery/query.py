"""What a search request asks for: parsed by rules, and the keys under which its answers are kept."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

_GENRES = (
    "action",
    "adventure",
    "animation",
    "comedy",
    "crime",
    "documentary",
    "drama",
    "family",
    "fantasy",
    "horror",
    "mystery",
    "romance",
    "science fiction",
    "thriller",
    "western",
)
_LONGEST = 500
_LARGEST_PAGE = 100
# A rule-based intent is half sure; the platform's language model would say more.
_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class Query:
    """A valid search request."""

    text: str
    page: int
    page_size: int

    @property
    def cache_key(self) -> str:
        """The key of this page's answer."""
        return "search:" + _digest(f"{self.text}\n{self.page}\n{self.page_size}")

    @property
    def last_key(self) -> str:
        """The key of the last-known candidates, which all pages share."""
        return "search:last:" + _digest(self.text)

    @property
    def parsed(self) -> dict[str, Any]:
        """What the rules make of the text."""
        genres = [genre for genre in _GENRES if genre in self.text]
        return {"intent": "search", "query": self.text, "genres": genres, "confidence": _CONFIDENCE}


def parse(body: dict[str, Any], *, page_size: int) -> Query:
    """The query of a request body; raises ValueError with the reason."""
    text, page, size = body.get("query"), body.get("page", 1), body.get("page_size", page_size)
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise ValueError(f"query must be a text of 1 to {_LONGEST} characters")
    if not isinstance(page, int) or page < 1:
        raise ValueError("page must be a number from 1")
    if not isinstance(size, int) or not 1 <= size <= _LARGEST_PAGE:
        raise ValueError(f"page_size must be a number from 1 to {_LARGEST_PAGE}")
    return Query(re.sub(r"\s+", " ", text).strip().lower(), page, size)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
