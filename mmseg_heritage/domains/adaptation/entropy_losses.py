"""What test-time adaptation makes small: the uncertainty of a model about the classes of pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def entropy(probabilities: Tensor) -> Tensor:
    """Returns the entropy of each pixel in nats, (N, ...).

    Args:
        probabilities: (N, C, ...), of the classes.
    """
    tiny = torch.finfo(probabilities.dtype).tiny
    return -(probabilities * probabilities.clamp(min=tiny).log()).sum(dim=1)


def mean_entropy(probabilities: Tensor, class_balanced: bool = False) -> Tensor:
    """Returns the mean entropy of pixels.

    Args:
        probabilities: (N, C, ...).
        class_balanced: Averages over the pixels of each predicted class first, and over these
            classes then. Where most pixels are Clean, the plain mean is that of Clean.
    """
    of_pixels = entropy(probabilities)
    if not class_balanced:
        return of_pixels.mean()
    chosen = probabilities.argmax(dim=1)
    return torch.stack([of_pixels[chosen == name].mean() for name in chosen.unique()]).mean()
