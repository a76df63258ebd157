"""A toxic as the API shows it: name, type, stream, toxicity and attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from sandbox.toxiproxy import body as fields
from sandbox.toxiproxy.clock import Clock
from sandbox.toxiproxy.errors import bad_body, invalid_stream, invalid_toxic_type
from sandbox.toxiproxy.stages import Settings, Stage
from sandbox.toxiproxy.toxics import STAGES

STREAMS = ("upstream", "downstream")


@dataclass(slots=True)
class Toxic:
    """Type and stream never change; toxicity is the chance, per connection, that the toxic acts on it."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: Settings

    def stage(self, clock: Clock, rng: Random) -> Stage | None:
        """A stage for one connection, or None when the dice spare that connection."""
        return STAGES[self.type](self.attributes, clock, rng) if self.strikes(rng) else None

    def strikes(self, rng: Random) -> bool:
        return rng.random() < self.toxicity

    def change(self, body: Mapping[str, Any]) -> None:
        """Merge a PATCH: attributes that are named and the toxicity; all or nothing. Raises ApiError 400."""
        attributes = merged(self.type, self.attributes, body)
        self.toxicity = fields.ratio(body, "toxicity", self.toxicity)
        self.attributes = attributes

    def as_json(self) -> dict[str, Any]:
        return {
            "attributes": dict(self.attributes),
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
        }


def new_toxic(body: Mapping[str, Any]) -> Toxic:
    """A toxic from the body of a POST; the name defaults to type_stream. Raises ApiError 400."""
    kind = fields.text(body, "type", "")
    stream = fields.text(body, "stream", "downstream").lower()
    if stream not in STREAMS:
        raise invalid_stream()
    if kind not in STAGES:
        raise invalid_toxic_type()
    return Toxic(
        name=fields.text(body, "name", "") or f"{kind}_{stream}",
        type=kind,
        stream=stream,
        toxicity=fields.ratio(body, "toxicity", 1.0),
        attributes=merged(kind, STAGES[kind].defaults, body),
    )


def merged(kind: str, current: Settings, body: Mapping[str, Any]) -> Settings:
    """The current attributes with those of the body laid over; unknown names are ignored, as the reference does."""
    given = fields.as_object(body.get("attributes") or {}, "attributes")
    settings = {key: fields.integer(given, key, value) for key, value in current.items()}
    objection = STAGES[kind].objection(settings)
    if objection is not None:
        raise bad_body(objection)
    return settings
