"""Random numbers as a function of the place in the run."""

import random

import numpy as np
import torch

from mmseg_heritage.utils.seeding import mix, seed_process, seeded


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_places_have_their_own_seeds():
    places = [(a, b, c) for a in range(2) for b in range(20) for c in range(50)]
    seeds = {mix(42, *place) for place in places}
    assert len(seeds) == len(places)
    assert mix(42, 1, 2) == mix(42, 1, 2) != mix(43, 1, 2)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_inside_the_block_the_seed_decides_and_outside_nothing_changes():
    seed_process(0)
    expected = [draw(), draw()]
    seed_process(0)
    first = draw()
    with seeded(5):
        inside = draw()
    assert [first, draw()] == expected
    with seeded(5):
        assert draw() == inside
    with seeded(6):
        assert draw() != inside
