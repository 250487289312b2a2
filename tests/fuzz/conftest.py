"""Seeded damage to files that a stranger may hand over."""

import json
import random
from pathlib import Path

import pytest

VALUES = (None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**30, "", "x", "\ud800", [], {},
          [None], {"": {}}, [[]] * 3, "../../x", "<script>", {"schema": 1})  # fmt: skip


def _changed_json(content, rng: random.Random) -> str:
    """Returns a JSON text with one to three places changed, or its text cut or damaged."""
    content = json.loads(json.dumps(content))
    for _ in range(rng.randint(1, 3)):
        places = list(_places(content))
        if places:
            node, key = rng.choice(places)
            kind = rng.random()
            if kind < 0.2:
                del node[key]
            elif kind < 0.3 and isinstance(node, dict):
                node[f"{key}2"] = node.pop(key)
            else:
                node[key] = rng.choice(VALUES)
    text = json.dumps(content)
    kind = rng.random()
    if kind < 0.05:
        return text[: rng.randrange(len(text))]
    if kind < 0.08:
        return text.replace(": ", ": " + "[" * 100_000, 1)
    if kind < 0.11:
        return text.replace("1", "1" * 5001, 1)
    if kind < 0.14:
        return json.dumps(rng.choice(VALUES))
    return text


def _places(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield node, key
            yield from _places(value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield node, index
            yield from _places(value)


def _changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """Returns bytes with some changed, taken out, put in, or cut off."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place = rng.randrange(len(found) or 1)
        kind = rng.random()
        if kind < 0.5 and found:
            found[place] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind < 0.65:
            del found[place : place + rng.randint(1, 64)]
        elif kind < 0.8:
            found[place:place] = rng.randbytes(rng.randint(1, 64))
        elif kind < 0.9:
            found[place : place + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")
            )
        else:
            del found[rng.randrange(len(found) or 1) :]
    return bytes(found)


def _write(path: Path, content: str | bytes) -> None:
    """Writes what may hold half of a surrogate pair."""
    path.write_bytes(
        content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    )


@pytest.fixture
def changed_json():
    """A function that damages the content of a JSON file."""
    return _changed_json


@pytest.fixture
def changed_bytes():
    """A function that damages the bytes of a file."""
    return _changed_bytes


@pytest.fixture
def write():
    """A function that writes text or bytes as they are."""
    return _write
