"""Random numbers as a function of the seed and of the position in the run.

Stock training seeds once and lets the state run on. A run that is resumed then augments other
images in other ways, because nobody saved the states of the workers. Here every sample and every
iteration starts from its own seed, so that nothing needs to be saved, and what a sample looks like
depends neither on the number of workers nor on the number of processes.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

SAMPLE = 0
"""First number of the seeds of samples, see :func:`mix`."""
ITERATION = 1
"""First number of the seeds of iterations."""


def mix(seed: int, *position: int) -> int:
    """Returns a seed in 0..2**32-1 that is independent for each position.

    Args:
        seed: Seed of the run, not negative.
        *position: What is drawn, and where in the run; numbers that are not negative.
    """
    return int(np.random.SeedSequence([seed, *position]).generate_state(1)[0])


def seed_process(seed: int) -> None:
    """Seeds Python, NumPy and torch on all devices; nothing waits for a device."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the generators of the CPU inside the block, and leaves them as they were.

    Without workers, samples are made in the process that also draws dropout masks.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
