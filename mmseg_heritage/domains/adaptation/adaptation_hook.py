"""Adapting a model to each image of a test."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.domains.adaptation.adaptation import Adaptation, AdaptationSettings
from mmseg_heritage.engine.innermost_model import innermost_model
from mmseg_heritage.errors import InputError


@HOOKS.register_module()
class AdaptationHook(Hook):
    """Adapts the model to each image before it is predicted; the test itself is as ever.

    Windows are predicted by the model as it was adapted to the whole image. After the test the
    model is what it was.

    Args:
        **settings: See :class:`~mmseg_heritage.domains.AdaptationSettings`.

    Raises:
        InputError: If a setting is not known or out of its range.
    """

    priority = "NORMAL"

    def __init__(self, **settings: Any) -> None:
        try:
            self.settings = AdaptationSettings(**settings)
        except TypeError as error:
            known = ", ".join(AdaptationSettings.__dataclass_fields__)
            raise InputError(f"an adaptation has the settings {known}: {error}") from error
        self._adaptation: Adaptation | None = None

    def check_model(self, model: Any) -> None:
        """Verifies that the model has what is to be adapted."""
        Adaptation(model, self.settings)

    def before_test(self, runner: Runner) -> None:
        """Keeps the trained weights."""
        self._adaptation = Adaptation(innermost_model(runner.model), self.settings)

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Fits the model to the image."""
        assert self._adaptation is not None  # mypy: before_test comes first
        images = data_batch["inputs"]
        if len(images) != 1:
            raise InputError(
                f"a model is adapted to one image at a time; set test_dataloader.batch_size=1 (is "
                f"{len(images)})"
            )
        self._adaptation.adapt(images[0])

    def after_test(self, runner: Runner) -> None:
        """Gives the model its trained weights back."""
        if self._adaptation is not None:
            self._adaptation.restore()
