"""Writing a segmentor as an ONNX graph, by torch's exporter of compiled programs."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from mmseg.models import SegDataPreProcessor
from torch import Tensor, nn

from mmseg_heritage.compat import turns_channels
from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.exported_file import (
    FEATURES,
    INPUT,
    KEY,
    MOST_SIDE,
    OUTPUT,
    FixedWindow,
)
from mmseg_heritage.inference.onnx_predictor import first_line, open_session, run_graph
from mmseg_heritage.models.segmentors.heritage_encoder_decoder import HeritageEncoderDecoder
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.utils.json_reading import MAX_BYTES

OPSET = 18
LARGEST_DIFFERENCE = 1e-3
"""Of a probability, between the graph and torch."""
_MOST_UNITS = 512  # of a side of a window
_TRIED = ((2, 5, 7), (1, 2, 3), (2, 5, 2))  # windows, and units of their sides


class ExportedNetwork(nn.Module):
    """What an ONNX file computes: windows to the probabilities that the window engine averages.

    Args:
        model: In eval mode.
        with_features: Whether to give the means of the feature maps too.
    """

    def __init__(self, model: HeritageEncoderDecoder, with_features: bool) -> None:
        super().__init__()
        preprocessor = model.data_preprocessor
        self.model, self.with_features = model, with_features
        self._head = HeadScores(model.decode_head)
        self._uses_image = getattr(model.decode_head, "uses_image", False)
        self._is_rgb = turns_channels(preprocessor)  # pipelines load blue, green, red
        self._normalizes = preprocessor._enable_normalize
        if self._normalizes:
            self.register_buffer("_mean", preprocessor.mean.clone())
            self.register_buffer("_std", preprocessor.std.clone())

    def forward(self, windows: Tensor) -> Any:
        """Returns probabilities (N, P, h / s, w / s), and means of the features (N, D).

        Args:
            windows: uint8 (N, 3, h, w), RGB, h and w multiples of the network's coarsest step.
        """
        inputs = windows.float()
        if not self._is_rgb:
            inputs = inputs.flip(1)
        if self._normalizes:
            inputs = (inputs - self._mean) / self._std
        maps = self.model.extract_feat(inputs)
        probabilities = self._head.probabilities(self.model.decode_head(maps))
        if not self.with_features:
            return probabilities
        maps = maps[:-1] if self._uses_image else maps
        return probabilities, torch.cat([map_.mean(dim=(2, 3)) for map_ in maps], dim=1)


def check_exportable(model: nn.Module) -> None:
    """Refuses models that cannot be written as one graph.

    Raises:
        InputError: Naming the part.
    """
    if not isinstance(model, HeritageEncoderDecoder):
        raise InputError(
            f"a {type(model).__name__} is not exported: expected a HeritageEncoderDecoder, whose "
            "windows and maps this package defines"
        )
    if not isinstance(model.data_preprocessor, SegDataPreProcessor):
        name = type(model.data_preprocessor).__name__
        raise InputError(f"the data_preprocessor {name} is not exported: expected mmsegmentation's")


def fixed_window(model: HeritageEncoderDecoder) -> FixedWindow | None:
    """Returns the one size of windows that a graph of a model has, or None if it has any.

    Backbones that take certain sizes only (CoAtNet), or divide maps into windows of their own
    (Swin, MaxViT), which torch's exporter translates for one size, get that of the crop.

    Args:
        model: See :func:`check_exportable`.

    Raises:
        InputError: If the model is not applied in windows, or in larger ones than a graph has.
    """
    sizes = getattr(model.backbone, "input_sizes", None)
    is_free = model.input_multiple == model.stride and not (
        sizes and (sizes.resized or sizes.tiled)
    )
    if is_free and not any(hasattr(m, "window_size") for m in model.backbone.modules()):
        return None
    engine, multiple = model.window_inference, model.input_multiple
    side = -(-engine.crop // multiple) * multiple
    if side > MOST_SIDE:
        raise InputError(
            f"the backbone {part_name(model.backbone)} is exported for one size of windows, up to "
            f"{MOST_SIDE} px, and the model's crop asks for {side}; export it with a smaller "
            "--inference crop="
        )
    if engine.mode != "window":
        raise InputError(
            f"inference.mode={engine.mode}: the backbone {part_name(model.backbone)} is exported "
            "for one size of windows; expected --inference mode=window"
        )
    return FixedWindow(side, _color_of_zero(model.data_preprocessor))


def _color_of_zero(preprocessor: SegDataPreProcessor) -> tuple[int, ...]:
    """Returns the color, red, green, blue, that a network takes for nearly 0."""
    if not preprocessor._enable_normalize:
        return (0, 0, 0)
    mean = preprocessor.mean.flatten().clamp(0, 255).round().int().tolist()
    return tuple(mean if turns_channels(preprocessor) else reversed(mean))


def write_graph(
    model: HeritageEncoderDecoder,
    path: Path,
    text: str,
    with_features: bool,
    window: FixedWindow | None = None,
) -> None:
    """Writes a model, and verifies that onnxruntime computes from it what torch computes.

    Args:
        model: In eval mode, on the CPU.
        path: Where to write.
        text: JSON that the file says of itself.
        with_features: See :class:`ExportedNetwork`.
        window: See :func:`fixed_window`.

    Raises:
        InputError: If a part of the model cannot be exported, or the graph computes something else.
    """
    if len(text) > MAX_BYTES:
        raise InputError(f"what the file says of itself has {len(text)} bytes, at most {MAX_BYTES}")
    network = ExportedNetwork(_exportable(model), with_features).eval()
    outputs = [OUTPUT, FEATURES] if with_features else [OUTPUT]
    tried, shapes = _sizes(model.stride, window)
    example = torch.zeros(2, 3, *tried[0][1:], dtype=torch.uint8)
    parts = f"{part_name(model.backbone)} with {part_name(model.decode_head)}"
    with _quiet(), _whole_steps(), torch.no_grad():
        try:
            program = torch.onnx.export(
                network, (example,), None, dynamo=True, dynamic_shapes=shapes, verbose=False,
                input_names=[INPUT], output_names=outputs, opset_version=OPSET,
            )  # fmt: skip
            program.model.metadata_props[KEY] = text
            program.save(str(path), external_data=False)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # torch's exporter raises whatever its parts raise
            raise InputError(
                f"{parts} is not exported: torch's exporter says {first_line(error)}"
            ) from error
        difference = _difference(network, path, tried)
    if not difference <= LARGEST_DIFFERENCE:
        raise InputError(
            f"{parts} is not exported: its graph gives probabilities that differ from torch's by "
            f"up to {difference:.3g}"
        )


def part_name(part: nn.Module) -> str:
    """Returns the name of a backbone or head: of a timm model its own."""
    return str(getattr(part, "model_name", type(part).__name__))


def _sizes(unit: int, window: FixedWindow | None) -> tuple[Sequence[tuple[int, ...]], Any]:
    """Returns shapes (N, h, w) of windows to try, and which sides of the input may vary."""
    number = torch.export.Dim.DYNAMIC
    if window is not None:
        return [(n, window.side, window.side) for n in (2, 1)], ({0: number},)
    row, column = (torch.export.Dim(name, min=1, max=_MOST_UNITS) for name in ("rows", "columns"))
    shapes = ({0: number, 2: unit * row, 3: unit * column},)
    return [(n, h * unit, w * unit) for n, h, w in _TRIED], shapes


def _difference(network: ExportedNetwork, path: Path, tried: Sequence[tuple[int, ...]]) -> float:
    """Returns the largest difference of a probability on windows of noise."""
    session = open_session(path)
    random = np.random.default_rng(0)
    differences = []
    for number, height, width in tried:
        shape = (number, 3, height, width)
        windows = random.integers(0, 256, shape, dtype=np.uint8)
        expected = network(torch.from_numpy(windows))
        expected = (expected[0] if network.with_features else expected).numpy()
        found = run_graph(session, windows, OUTPUT)
        differences.append(float(np.abs(found - expected).max()))
    return float(np.max(differences))  # NaN if any is


class _AveragePool(nn.Module):
    """Adaptive average pooling as two products of matrices, which a graph has for any size.

    Args:
        size: Height and width of the result.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self._size = size

    def forward(self, maps: Tensor) -> Tensor:
        """Returns (N, C, *size) for maps (N, C, H, W)."""
        rows, columns = (self._shares(maps, dim) for dim in (2, 3))
        pooled: Tensor = rows @ maps @ columns.transpose(0, 1)
        return pooled

    def _shares(self, maps: Tensor, dim: int) -> Tensor:
        """Returns what each step of a side counts in each of the result, (size, side)."""
        length, size = maps.shape[dim], self._size[dim - 2]
        result, step = torch.arange(size)[:, None], torch.arange(length)[None]
        first, end = result * length // size, -(-(result + 1) * length // size)
        inside = ((step >= first) & (step < end)).to(maps.dtype)
        return inside / inside.sum(dim=1, keepdim=True)


def _exportable(model: HeritageEncoderDecoder) -> HeritageEncoderDecoder:
    """Returns a copy in which what graphs have for one size only is replaced by what is equal."""
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        for name, part in module.named_children():
            if isinstance(part, nn.AdaptiveAvgPool2d):
                size = part.output_size
                both = (size, size) if isinstance(size, int) else tuple(size)
                if None not in both and both != (1, 1):
                    setattr(module, name, _AveragePool(both))
    return model


@contextlib.contextmanager
def _whole_steps() -> Iterator[None]:
    """Lets timm's 'same' padding know that all sides are whole steps.

    It is then the same for all sizes. timm's formula divides and rounds, which the exporter does
    not simplify: it did not end in minutes.
    """
    try:
        import timm.layers.padding as padding
    except ImportError:
        yield
        return

    def of_whole_steps(_: int, kernel_size: int, stride: int, dilation: int) -> int:
        return max((kernel_size - 1) * dilation + 1 - stride, 0)

    with patch.object(padding, "get_same_padding", of_whole_steps):
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's progress and remarks from the console; errors are raised."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
