"""Discovery's questions to PostgreSQL: availability, details, text search."""

from typing import Any

import orjson

from sandbox.services.database import Cluster

_REGION = "US"
_FIELDS = "id, title, overview, release_year, genres, platforms, popularity_score"
# Ids go as one text: the client takes ten times as long to encode them as an array.
_IDS = "ANY(string_to_array($1, ','))"
_AVAILABLE = f"SELECT DISTINCT content_id FROM content_availability WHERE content_id = {_IDS} AND region = $2"
_DETAILS = f"SELECT {_FIELDS} FROM content WHERE id = {_IDS}"
# Any of the words counts; the rank tells how well. Ranking every match would cost more than the vector search that it stands
# in for, and topple what is left of a platform in trouble: only so many matches are ranked.
_KEYWORDS = """
SELECT id, ts_rank(search, asked) AS score FROM (
  SELECT id, search, popularity_score, asked FROM content, to_tsquery('english', $1) AS asked WHERE search @@ asked LIMIT 3 * $2
) AS chosen ORDER BY score DESC, popularity_score DESC LIMIT $2
"""
_POPULAR = "SELECT id, 0::real AS score FROM content ORDER BY popularity_score DESC LIMIT $1"


async def available(cluster: Cluster, ids: list[str]) -> set[str]:
    """Those of the ids that can be watched in the region; raises DatabaseDown."""
    return {row["content_id"] for row in await cluster.fetch(_AVAILABLE, ",".join(ids), _REGION)}


async def details(cluster: Cluster, ids: list[str]) -> dict[str, dict[str, Any]]:
    """The items by id; raises DatabaseDown."""
    return {row["id"]: dict(row) for row in await cluster.fetch(_DETAILS, ",".join(ids))}


async def detail_json(cluster: Cluster, content_id: str) -> bytes | None:
    """One item as the answer's body, None when it does not exist; raises DatabaseDown."""
    item = (await details(cluster, [content_id])).get(content_id)
    return orjson.dumps({"content": item}) if item else None


async def matching(cluster: Cluster, text: str, *, limit: int) -> list[tuple[str, float]]:
    """Ids with their text rank, best first, the popular ones where no word matches; raises DatabaseDown."""
    words = ["".join(filter(str.isalnum, word)) for word in text.split()]
    asked = " | ".join(filter(None, words))
    rows = await cluster.fetch(_KEYWORDS, asked, limit) if asked else []
    rows = rows or await cluster.fetch(_POPULAR, limit)
    return [(row["id"], row["score"]) for row in rows]
