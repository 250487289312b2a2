"""Fitting a trained model to the image that it is about to predict, without a label."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg_heritage.domains.adaptation.adapted_statistics import adapted_statistics, batch_norms
from mmseg_heritage.domains.adaptation.entropy_losses import entropy, mean_entropy
from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.run_network import preprocessing, raw_scores
from mmseg_heritage.inference.sources import TensorSource
from mmseg_heritage.models.segmentors.tuning import norm_layers
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.taxonomy import FINE_LEVEL

METHODS = ("bn", "tent", "sar")
STATISTICS = ("source", "batch", "mix")
PARAMS = ("bn", "norm")

_MEMORY = 0.9  # of the running mean of the entropy by which SAR recognizes a collapse


@dataclass(frozen=True)
class AdaptationSettings:
    """How a model is adapted.

    Attributes:
        method: 'bn' takes BatchNorm statistics of the image (Schneider et al., NeurIPS 2020,
            arXiv:2006.16971). 'tent' also makes the entropy small by the scales and shifts of norm
            layers (Wang et al., ICLR 2021, arXiv:2006.10726). 'sar' does so for pixels that are not
            too uncertain, and by steps that look for a flat minimum (Niu et al., ICLR 2023,
            arXiv:2302.12400).
        statistics: Of BatchNorm: 'source' are the trained ones, 'batch' those of the image, 'mix'
            some of both. None is 'source' for SAR and 'mix' for the others: one image is a small
            sample.
        mix: Share of the image's statistics in 'mix', 0..1.
        params: Whose scales and shifts are learned: of 'bn', or of all layers that 'norm'alize.
        steps: Of the optimizer for an image, from 0.
        lr: Learning rate, of Adam for 'tent', of SGD with momentum 0.9 for 'sar'.
        class_balanced: Of 'tent', see
            :func:`~mmseg_heritage.domains.adaptation.entropy_losses.mean_entropy`.
        episodic: Begins anew for each image, so that the order of images does not matter.
        long_edge: An image is adapted to as a whole, shrunk to so many pixels on its long edge.
        certain: Of SAR: pixels count whose entropy is below so many times ln C, for C classes.
        radius: Of SAR: how far, in weights, the sharpness is looked at (rho).
        collapsed: Of SAR, where it is not episodic: below so many times ln C of mean entropy the
            model begins anew.
    """

    method: str
    statistics: str | None = None
    mix: float = 0.5
    params: str = "norm"
    steps: int = 1
    lr: float = 1e-3
    class_balanced: bool = False
    episodic: bool = True
    long_edge: int = 1024
    certain: float = 0.4
    radius: float = 0.05
    collapsed: float = 0.029

    def __post_init__(self) -> None:
        problems = [
            f"{name}={value!r}, expected one of {', '.join(map(str, known))}"
            for name, value, known in (
                ("method", self.method, METHODS), ("params", self.params, PARAMS),
                ("statistics", self.statistics or "source", STATISTICS),
                ("class_balanced", self.class_balanced, (True, False)),
                ("episodic", self.episodic, (True, False)),
            )
            if value not in known
        ]  # fmt: skip
        for name, least, whole in (
            ("mix", 0, False), ("steps", 0, True), ("lr", 0, False), ("long_edge", 1, True),
            ("certain", 0, False), ("radius", 0, False), ("collapsed", 0, False),
        ):  # fmt: skip
            value = getattr(self, name)
            kinds = int if whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not value >= least:
                problems.append(f"{name}={value!r}, expected a number from {least}")
        if not problems and self.mix > 1:
            problems.append(f"mix={self.mix}, expected a share, 0..1")
        if problems:
            raise InputError("the adaptation cannot be used", problems)

    @property
    def share(self) -> float:
        """Share of the image's statistics in those of BatchNorm, 0..1."""
        chosen = self.statistics or ("source" if self.method == "sar" else "mix")
        return {"source": 0.0, "batch": 1.0, "mix": float(self.mix)}[chosen]

    def described(self) -> dict[str, Any]:
        """Returns all settings, for JSON."""
        return asdict(self)


class Adaptation:
    """Adapts a segmentor to one image after the other; it is in eval mode throughout.

    Args:
        model: Any segmentor of mmsegmentation with one decode head.
        settings: How.

    Raises:
        InputError: If the model has no such layers as are to be adapted.
    """

    def __init__(self, model: nn.Module, settings: AdaptationSettings) -> None:
        self.model, self.settings = model, settings
        self._head = HeadScores(model.decode_head)
        self._norms = batch_norms(model)
        self._parameters = [] if settings.method == "bn" else self._learned()
        if settings.method == "bn" and not self._norms:
            raise InputError(
                "adaptation 'bn' needs BatchNorm layers, and this model has none; take 'tent' with "
                "params=norm"
            )
        self._source: list[tuple[Tensor, Tensor]] = [
            (tensor, tensor.detach().clone()) for tensor in self._adapted_tensors()
        ]
        self._optimizer = self._new_optimizer()
        self._mean_entropy: float | None = None
        self._moves: list[Tensor | None] = []

    def _learned(self) -> list[nn.Parameter]:
        """Returns the scales and shifts that are learned."""
        kind = self.settings.params
        layers = [
            layer
            for layer in norm_layers(self.model)
            if kind == "norm" or isinstance(layer, _BatchNorm)
        ]
        found = {id(p): p for layer in layers for p in layer.parameters(recurse=False)}
        if not found:
            raise InputError(
                f"adaptation '{self.settings.method}' with params={kind}: this model has no "
                f"{'BatchNorm' if kind == 'bn' else 'norm'} layers with weights"
            )
        return list(found.values())

    def _adapted_tensors(self) -> Iterator[Tensor]:
        yield from self._parameters
        for layer in self._norms:
            yield from (layer.running_mean, layer.running_var)

    def _new_optimizer(self) -> torch.optim.Optimizer | None:
        if not self._parameters:
            return None
        if self.settings.method == "tent":
            return torch.optim.Adam(self._parameters, lr=self.settings.lr)
        return torch.optim.SGD(self._parameters, lr=self.settings.lr, momentum=0.9)

    def restore(self) -> None:
        """Gives the model its trained weights and statistics back, bit by bit."""
        with torch.no_grad():
            for tensor, source in self._source:
                tensor.copy_(source)
        self._optimizer = self._new_optimizer()
        self._mean_entropy = None

    def adapt(self, image: Tensor) -> None:
        """Fits the model to an image, whose prediction is to follow.

        Args:
            image: (C, H, W), as pipelines pack it.
        """
        if self.settings.episodic:
            self.restore()
        else:
            self._restore_statistics()
        inputs = self._view(image)
        steps = self.settings.steps if self._parameters else 0
        share = self.settings.share
        with self._learning(), adapted_statistics(self._norms if share else [], share):
            for _ in range(steps):
                self._step(inputs)
            if share:  # the statistics that the weights now give
                with torch.no_grad():
                    self._probabilities(inputs)

    def _restore_statistics(self) -> None:
        with torch.no_grad():
            for tensor, source in self._source[len(self._parameters) :]:
                tensor.copy_(source)

    @contextlib.contextmanager
    def _learning(self) -> Iterator[None]:
        """Lets what is learned have gradients, inside loops that compute without them."""
        before = [parameter.requires_grad for parameter in self._parameters]
        frozen = [p for p in self.model.parameters() if p.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        try:
            with torch.enable_grad():
                yield
        finally:
            for parameter, was in zip(self._parameters, before, strict=True):
                parameter.requires_grad_(was)
                parameter.grad = None
            for parameter in frozen:
                parameter.requires_grad_(True)

    def _view(self, image: Tensor) -> Tensor:
        """Returns the network's input, (1, C, h, w): the image, shrunk to whole steps.

        So there is no padding of which entropy or statistics could be taken. The network sees it at
        the first of the scales at which it predicts, or smaller.
        """
        height, width = image.shape[1:]
        inference = getattr(self.model, "window_inference", None)
        if inference is not None:
            height, width = inference.sizes(height, width)[0]
        factor = min(1.0, self.settings.long_edge / max(height, width))
        multiple = getattr(self.model, "input_multiple", 32)
        size = tuple(max(round(side * factor / multiple), 1) * multiple for side in (height, width))
        source = TensorSource(image)
        seen = source if size == image.shape[1:] else source.resized((size[0], size[1]))
        return preprocessing(self.model)(seen.cut(slice(None), slice(None)))[None]

    def _probabilities(self, inputs: Tensor) -> Tensor:
        """Returns the probabilities of the classes at the network's resolution, (1, C, h, w)."""
        size = (inputs.shape[2], inputs.shape[3])
        found = self._head.probabilities(raw_scores(self.model, inputs, size))
        return found[:, self._head.channels[FINE_LEVEL]]

    def _step(self, inputs: Tensor) -> None:
        assert self._optimizer is not None  # mypy: there is one where there are parameters
        if self.settings.method == "tent":
            loss = mean_entropy(self._probabilities(inputs), self.settings.class_balanced)
        else:
            found = self._sharp_loss(inputs)
            if found is None:
                return
            loss = found
        self._set_gradients(loss)
        if self.settings.method == "sar":
            self._move(-1)  # back from where the gradient was taken
        self._optimizer.step()
        if self.settings.method == "sar" and not self.settings.episodic:
            self._begin_anew_after_collapse(loss.item())

    def _set_gradients(self, loss: Tensor) -> None:
        found = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        for parameter, gradient in zip(self._parameters, found, strict=True):
            parameter.grad = gradient

    def _sharp_loss(self, inputs: Tensor) -> Tensor | None:
        """Moves the weights uphill by ``radius``, and returns the loss there.

        Returns:
            None, with the weights where they were, if no pixel is certain enough.
        """
        first = entropy(self._probabilities(inputs))
        limit = self.settings.certain * self._largest_entropy
        certain = first < limit
        if not certain.any():
            return None
        self._set_gradients(first[certain].mean())
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        length = torch.stack([gradient.norm() for gradient in gradients]).norm()
        self._moves = [
            None if p.grad is None else p.grad * (self.settings.radius / (length + 1e-12))
            for p in self._parameters
        ]
        self._move(1)
        second = entropy(self._probabilities(inputs))
        certain &= second < limit
        if not certain.any():
            self._move(-1)
            return None
        return second[certain].mean()

    @property
    def _largest_entropy(self) -> float:
        return math.log(max(int(self.model.decode_head.num_classes), 2))

    def _move(self, sign: int) -> None:
        with torch.no_grad():
            for parameter, move in zip(self._parameters, self._moves, strict=True):
                if move is not None:
                    parameter.add_(move, alpha=sign)

    def _begin_anew_after_collapse(self, loss: float) -> None:
        before = self._mean_entropy
        mean = loss if before is None else _MEMORY * before + (1 - _MEMORY) * loss
        self._mean_entropy = mean
        if mean < self.settings.collapsed * self._largest_entropy:
            print_log(f"adaptation begins anew: the mean entropy fell to {mean:.3f}", "current")
            self.restore()
