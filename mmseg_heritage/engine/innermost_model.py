"""The model that a run is about, below what wraps it."""

from __future__ import annotations

from typing import Any


def innermost_model(model: Any) -> Any:
    """Returns the model inside the wrappers of distributed runs and of test-time augmentation."""
    while hasattr(model, "module"):
        model = model.module
    return model
