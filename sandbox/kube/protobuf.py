"""Reads the few kinds that kubectl sends as protobuf whatever the server offers: `kubectl auth can-i`, `kubectl create ...`.

The form is Kubernetes' own: 'k8s', a zero, and a message Unknown with kind and apiVersion in field 1, the object in field 2.
Field numbers are those of the generated.proto files of k8s.io/api and k8s.io/apimachinery 1.35.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.kube.objects import Object

MAGIC = b"k8s\x00"


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    key: str


@dataclass(frozen=True, slots=True)
class Texts:
    """A map of strings: repeated messages with a key in field 1 and a value in field 2."""

    key: str


@dataclass(frozen=True, slots=True)
class Part:
    """A message in a message."""

    key: str
    fields: "Mapping[int, Text | Texts | Part]"


Fields = Mapping[int, Text | Texts | Part]

_METADATA = Part(
    "metadata", {1: Text("name"), 2: Text("generateName"), 3: Text("namespace"), 11: Texts("labels"), 12: Texts("annotations")}
)
_ATTRIBUTES = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
_REVIEW = {
    1: Part("resourceAttributes", {number: Text(key) for number, key in enumerate(_ATTRIBUTES, 1)}),
    2: Part("nonResourceAttributes", {1: Text("path"), 2: Text("verb")}),
}
_KINDS: dict[str, Fields] = {
    "Namespace": {1: _METADATA},
    "ConfigMap": {1: _METADATA, 2: Texts("data")},
    "ServiceAccount": {1: _METADATA},
    "SelfSubjectAccessReview": {1: _METADATA, 2: Part("spec", _REVIEW)},
}


def read(body: bytes) -> Object:
    """The object. Raises ValueError for a body that is not of this form, KeyError with the kind for one that is not read here."""
    if not body.startswith(MAGIC):
        raise ValueError("no Kubernetes protobuf")
    envelope = dict(_fields(body[len(MAGIC) :]))
    about = _message(envelope.get(1, b""), {1: Text("apiVersion"), 2: Text("kind")})
    if "kind" not in about:
        raise ValueError("it does not say its kind")
    return {**about, **_message(envelope.get(2, b""), _KINDS[about["kind"]])}


def _message(data: bytes, fields: Fields) -> dict[str, Any]:
    """What is known of a message; empty strings and unknown fields are left out."""
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        match fields.get(number):
            case Text(key) if value:
                found[key] = value.decode()
            case Texts(key):
                pair = dict(_fields(value))
                found.setdefault(key, {})[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
            case Part(key, inner):
                found[key] = _message(value, inner)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field that has a length; numbers are passed over. Raises ValueError."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        match tag & 7:
            case 0:
                _, place = _varint(data, place)
            case 1:
                place += 8
            case 2:
                length, place = _varint(data, place)
                if place + length > len(data):
                    raise ValueError("a field is longer than its message")
                yield tag >> 3, data[place : place + length]
                place += length
            case 5:
                place += 4
            case kind:
                raise ValueError(f"wire type {kind}")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data):
            raise ValueError("a number is cut off")
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
