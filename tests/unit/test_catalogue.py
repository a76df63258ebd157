"""The catalogue: the same at every call, plausible, and its vectors near what people would ask for."""

import numpy as np
import pytest

from sandbox.data import rows
from sandbox.data.catalogue import DIMENSIONS, Item, catalogue, embed, vector
from sandbox.data.words import GENRES, PLATFORMS


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return catalogue(2_000)


def test_is_the_same_at_every_call_and_size(items: list[Item]) -> None:
    assert catalogue(50) == items[:50]
    assert items[41].id == "content-00042"
    assert items[41].number == 42


def test_items_are_plausible(items: list[Item]) -> None:
    for item in items:
        assert item.title
        assert 1930 <= item.release_year <= 2026
        assert 0 <= item.popularity_score <= 1
        assert set(item.genres) <= set(GENRES)
        assert set(item.platforms) <= set(PLATFORMS)
        assert item.genres
        assert item.platforms


def test_vectors_have_length_one(items: list[Item]) -> None:
    for text in ("scary movies about space", "", "the of a", "Ünïcode ✓"):
        direction = embed(text)
        assert direction.shape == (DIMENSIONS,)
        assert direction.dtype == np.float32
        assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(vector(items[0]), embed(items[0].text))


@pytest.mark.parametrize(
    ("query", "words", "genre"),
    [
        ("scary movies about space", ("scary", "space"), "Horror"),
        ("a romantic wedding", ("romantic", "wedding"), "Romance"),
        ("dragon and magic quest", ("dragon", "magic", "quest"), "Fantasy"),
    ],
)
def test_the_nearest_items_are_about_the_query(items: list[Item], query: str, words: tuple[str, ...], genre: str) -> None:
    near = np.argsort(np.stack([vector(item) for item in items]) @ embed(query))[::-1][:10]
    assert all(any(word in items[place].text.lower() for word in words) for place in near)
    assert sum(genre in items[place].genres for place in near) >= 4


def test_most_items_are_available_in_the_us(items: list[Item]) -> None:
    available = {content for content, region, _ in rows.availability(items) if region == "US"}
    assert 0.93 < len(available) / len(items) < 0.97


def test_users_share_a_password_but_no_hash() -> None:
    users = list(rows.users("secret"))
    assert len(users) == rows.USERS
    assert users[0][0] == "user-0001"
    assert users[0][3] == rows.password_hash("user-0001", "secret")
    assert len({password for *_, password in users}) == rows.USERS
