"""`forget` removes what the sandbox made in its cache, and nothing that lay beside it."""

from pathlib import Path

import pytest

from sandbox.state import forget_cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("CHAOS_SANDBOX_CACHE", str(root))
    for name in ("seed-0123/postgres", "building-x", "matplotlib"):
        (root / name).mkdir(parents=True)
    (root / "lock").touch()
    return root


def test_the_directory_goes_with_what_is_in_it(cache: Path) -> None:
    assert forget_cache() == cache
    assert not cache.exists()


def test_what_is_not_ours_stays(cache: Path) -> None:
    (cache / "thesis.txt").write_text("the only copy")
    forget_cache()
    assert [path.name for path in cache.iterdir()] == ["thesis.txt"]


def test_a_cache_that_was_never_made_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_SANDBOX_CACHE", str(tmp_path / "never"))
    assert not forget_cache().exists()
