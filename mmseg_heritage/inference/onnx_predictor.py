"""Predicting with an exported model: onnxruntime runs it, and no torch is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.inputs import ImageInput, label_of
from mmseg_heritage.images.photograph_rows import RowBlocks
from mmseg_heritage.inference.exported_file import (
    FEATURES,
    INPUT,
    KEY,
    OUTPUT,
    ExportedModel,
    FixedWindow,
    read_exported,
)
from mmseg_heritage.inference.prediction import (
    BandMaps,
    PhotographPredictor,
    features_copy,
    refuse_whole,
)
from mmseg_heritage.inference.row_sources import RowsSource
from mmseg_heritage.inference.sources import PhotographSource
from mmseg_heritage.inference.window_engine import WindowEngine
from mmseg_heritage.scores.arrays import FLIPS
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.taxonomy import FINE_LEVEL

SUFFIX = ".onnx"
_MAX_BYTES = 2 << 30  # protobuf's own limit: larger models lie in several files
_SEVERE = 4  # onnxruntime's level of log messages: errors are raised, and said once
_OPTION = "inference."


class OnnxPredictor(PhotographPredictor):
    """A model that ``export`` wrote, see :class:`mmseg_heritage.Predictor`.

    Args:
        path: ONNX file.
        cfg_options: Dotted key -> value; those of ``inference`` only.
        threads: Of onnxruntime; None for all cores.

    Attributes:
        exported: What the file says of itself.
        validation: See :attr:`mmseg_heritage.runs.trained_run.TrainedRun.validation`.

    Raises:
        InputError: If the file cannot be used, or onnxruntime is missing.
    """

    def __init__(
        self,
        path: str | Path,
        cfg_options: Mapping[str, Any] | None = None,
        threads: int | None = None,
    ) -> None:
        file = Path(path).expanduser()
        options = _inference_options(cfg_options or {})
        session = open_session(file, threads)
        texts = session.get_modelmeta().custom_metadata_map
        if KEY not in texts:
            raise InputError(
                f"{path}: is an ONNX model of another program; expected one that "
                "mmseg-heritage export wrote"
            )
        found = read_exported(texts[KEY], str(path))
        if options:
            found = found.with_inference(options)
        _check_graph(session, found, path)
        super().__init__(
            found.classes, found.palette, found.mask_values, found.kinds, found.levels,
            found.training_features,
        )  # fmt: skip
        self.exported = found
        self.validation = found.validation
        self._choose_nothing_below(found.engine.abstain_below)
        self._session = session
        self._network = OnnxNetwork(
            session, found.unit, found.engine, found.head(), found.fixed_window
        )

    @property
    def device(self) -> str:
        """Name of the device on which the network runs."""
        return "cpu"

    def keep_confidence(self) -> None:
        """See :class:`PhotographPredictor`."""
        self.keeps_confidence = self.exported.engine.confidence = True

    def seen_at(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """See :class:`PhotographPredictor`."""
        return tuple(self.exported.engine.sizes(height, width))

    def bands(
        self, image: RowBlocks, label: str, first: int = 0
    ) -> Iterator[tuple[slice, BandMaps]]:
        """See :class:`PhotographPredictor`."""
        engine = self.exported.engine
        refuse_whole(engine.mode, label)
        try:
            bands = engine.bands_of(self._network, RowsSource(image), image.shape, first)
            for rows, found in bands:
                self._abstain(found.ids[FINE_LEVEL], found.confidence)
                yield rows, BandMaps(found.ids, found.confidence)
        except InputError as error:
            raise InputError(f"{label}: {error}") from error

    def features(self, pixels: np.ndarray) -> NDArray[np.float32]:
        """See :class:`PhotographPredictor`."""
        window = features_copy(pixels).transpose(2, 0, 1)
        sides = (-(-side // self.exported.unit) * self.exported.unit for side in window.shape[1:])
        return run_graph(self._session, _filled(window[None], tuple(sides)), FEATURES)[0]

    def _maps(
        self, pixels: np.ndarray, image: ImageInput
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None, tuple[int, int]]:
        size = pixels.shape[:2]
        source = PhotographSource(pixels)
        try:
            found = self.exported.engine.maps_of(self._network, source, size)
        except InputError as error:
            raise InputError(f"{label_of(image)}: {error}") from error
        return found.ids, found.confidence, size


class OnnxNetwork:
    """The network of an exported model, see :class:`~mmseg_heritage.inference.window_engine`.

    Args:
        session: Of onnxruntime.
        unit: Sides of windows are multiples of it.
        engine: How windows are taken.
        head: Reads the probabilities.
        window: The only size that the graph takes; None if it takes any.
    """

    def __init__(
        self,
        session: Any,
        unit: int,
        engine: WindowEngine,
        head: HeadScores,
        window: FixedWindow | None = None,
    ) -> None:
        self._session, self._window = session, window
        self.unit = unit
        self.multiple = unit if window is None else window.side
        self.batch = engine.batch or 1
        self.head = head
        self._flips = [FLIPS[name] for name in engine.tta]

    def __call__(self, parts: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """Returns probabilities, see :data:`mmseg_heritage.inference.windows.RunWindows`."""
        # The engine cuts blue, green, red, as mmcv's pipelines have it.
        windows = np.concatenate([_filled(part[None, ::-1], size) for part in parts])
        found = self._probabilities(windows)
        for dims in self._flips:
            mirrored = self._probabilities(np.flip(windows, dims))
            found = found + np.flip(mirrored, dims)
        return found / np.float32(1 + len(self._flips)) if self._flips else found

    def _probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Returns those of windows (N, 3, h, w), up to the size that the graph takes."""
        height, width = windows.shape[2:]
        if self._window is None or height == width == self._window.side:
            return self._run(windows)
        side = self._window.side
        color = np.array(self._window.color, np.uint8)[None, :, None, None]
        whole = np.broadcast_to(color, (len(windows), 3, side, side)).copy()
        whole[:, :, :height, :width] = windows
        found = self._run(whole)
        step = side // found.shape[2]  # pixels for each of the output
        return found[:, :, : height // step, : width // step]

    def _run(self, windows: np.ndarray) -> np.ndarray:
        """Runs the graph, and verifies that its output lies on the windows in whole steps."""
        found = run_graph(self._session, windows, OUTPUT)
        height, width = windows.shape[2:]
        rows, columns = found.shape[2:]
        step = height // max(rows, 1)
        if (
            not 1 <= step <= self.unit
            or self.unit % step
            or (rows * step, columns * step) != (height, width)
        ):
            raise InputError(
                f"the exported network gives {rows}x{columns} probabilities for a window of "
                f"{height}x{width} pixels; expected one for each step of 1 to {self.unit} pixels"
            )
        return found


def run_graph(session: Any, windows: np.ndarray, output: str) -> np.ndarray:
    """Returns an output of a graph for windows, uint8 (N, 3, h, w), RGB, as float32.

    Raises:
        InputError: If onnxruntime cannot run it.
    """
    try:
        (found,) = session.run([output], {INPUT: np.ascontiguousarray(windows)})
    except Exception as error:  # onnxruntime has its own errors, of no common class
        raise InputError(f"the exported network cannot be run: {first_line(error)}") from error
    return np.asarray(found, np.float32)


def open_session(path: Path, threads: int | None = None) -> Any:
    """Loads an ONNX file.

    Raises:
        InputError: If it cannot be loaded, or onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "an exported model is run by onnxruntime, which is not installed here: "
            'pip install "mmseg_heritage[export]", or pip install onnxruntime'
        ) from error
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: is larger than an ONNX file can be (2 GiB)")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _SEVERE
    if threads is not None:
        settings.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # see run_graph
        raise InputError(
            f"{path}: not a whole ONNX file ({first_line(error)}); copy or export it again"
        ) from error


def _check_graph(session: Any, found: ExportedModel, path: str | Path) -> None:
    """Verifies that the graph takes and gives what the engine expects."""
    inputs = {part.name: part for part in session.get_inputs()}
    taken = inputs[INPUT].shape if INPUT in inputs else []
    sides = [side for side in taken[2:] if isinstance(side, int)]
    outputs = {part.name: part for part in session.get_outputs()}
    problems = []
    if set(inputs) != {INPUT} or inputs[INPUT].type != "tensor(uint8)":
        problems.append(f"expected one input '{INPUT}', uint8 (N, 3, h, w)")
    if sides != ([] if found.fixed_window is None else [found.fixed_window.side] * 2):
        problems.append("expected windows of the size that is written in it, or of any")
    shape = outputs[OUTPUT].shape if OUTPUT in outputs else []
    if len(shape) != 4 or shape[1] != found.channels:
        problems.append(f"expected an output '{OUTPUT}' of {found.channels} channels")
    features = found.training_features
    wide = outputs[FEATURES].shape[-1:] if FEATURES in outputs else []
    if features is not None and wide != [len(features.mean)]:
        problems.append(f"expected an output '{FEATURES}' of {len(features.mean)} numbers")
    if problems:
        raise InputError(f"{path}: its graph does not fit what it says of itself", problems)


def _inference_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of the window engine among options of the command line.

    Raises:
        InputError: If there are others: the network is as it was exported.
    """
    known = ("mode", "crop", "overlap", "batch", "scales", "tta", "abstain_below", "confidence")
    others = [k for k in options if k.removeprefix(_OPTION) not in known or _OPTION not in k]
    if others:
        raise InputError(
            f"an exported model takes --inference {', '.join(known[:-1])} and no other options",
            others,
        )
    return {key.removeprefix(_OPTION): value for key, value in options.items()}


def _filled(windows: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Fills windows (N, C, h, w) up to a size by their last row and column."""
    below, right = size[0] - windows.shape[2], size[1] - windows.shape[3]
    if not below and not right:
        return windows
    return np.pad(windows, ((0, 0), (0, 0), (0, below), (0, right)), mode="edge")


def first_line(error: Exception) -> str:
    """Returns what an error of another library says, in a line that a terminal can show."""
    text = next(iter(str(error).splitlines()), type(error).__name__)
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
