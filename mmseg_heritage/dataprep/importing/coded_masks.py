"""Reading masks of other data sets: values of any coding become class ids, by a mapping."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.importing.label_mapping import LabelMapping
from mmseg_heritage.dataprep.importing.mat_files import read_mat
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import color_numbers
from mmseg_heritage.images.image_files import ImageHeader
from mmseg_heritage.images.masks import check_mask_size, read_labels

_COLOR_MODES = ("RGB", "P", "L", "1")
_GRAY_MODES = {"1": "L", "L": "L", "P": "P", "I": "I", "RGB": "RGB"}
_GRAY_MODES |= {mode: mode for mode in ("I;16", "I;16B", "I;16L")}


class Coder:
    """Turns the values of one mask into class ids, and counts them.

    Args:
        mapping: What the values mean.

    Attributes:
        unmapped: Value that the mapping does not name -> pixels. Their class id means nothing.
    """

    def __init__(self, mapping: LabelMapping) -> None:
        self.mapping = mapping
        self.unmapped: Counter[int] = Counter()
        self._pixels = np.zeros(1 + len(mapping.codes), np.int64)

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Returns the pixels of each code of the mapping, int64 (codes,)."""
        return self._pixels[1:]

    def __call__(self, values: np.ndarray) -> NDArray[np.uint8]:
        """Returns the class ids of some rows.

        Args:
            values: As stored, of any integer type, (rows, W); or uint8 (rows, W, 3).

        Returns:
            uint8 (rows, W).

        Raises:
            InputError: If the mapping names gray values, and the mask has colors.
        """
        values = self._single(values)
        table = self.mapping.table
        inside = (values >= 0) & (values < len(table))
        numbers = table[np.where(inside, values, 0)]
        numbers[~inside] = 0
        self._pixels += np.bincount(numbers.ravel(), minlength=len(self._pixels))
        unmapped, counts = np.unique(values[numbers == 0], return_counts=True)
        self.unmapped.update(dict(zip(unmapped.tolist(), counts.tolist(), strict=True)))
        return self.mapping.class_ids[numbers]

    def _single(self, values: np.ndarray) -> np.ndarray:
        """Returns one number for each pixel."""
        if self.mapping.in_color:
            return color_numbers(values)
        if values.ndim == 2:
            return values
        if (values != values[..., :1]).any():
            raise InputError("the mask has colors; name them in the mapping, such as '#ff0000'")
        return values[..., 0]


def read_coded_mask(path: Path, size: tuple[int, int] | None, coder: Coder) -> NDArray[np.uint8]:
    """Reads a mask as class ids, turned like a photograph.

    Gray values are read as they are stored, 0 and 255 where there is one bit for a pixel; of a
    palette the index. Colors may be those of a palette.

    Args:
        path: An image, or a .mat file where the mapping names a variable.
        size: (width, height) of the photograph.
        coder: Of this mask; holds the counts afterwards.

    Returns:
        uint8 (H, W); of no use where the coder has unmapped values.

    Raises:
        ImageFault: If the file cannot be read, has another size, or cannot have such a coding.
    """
    if coder.mapping.mat_variable:
        mask = coder(read_mat(path, coder.mapping.mat_variable))
        check_mask_size(mask, size, str(path))
        return mask

    def mode_of(header: ImageHeader) -> str:
        modes = dict.fromkeys(_COLOR_MODES, "RGB") if coder.mapping.in_color else _GRAY_MODES
        if header.mode not in modes or header.is_deep:
            deep = " with 16 bits" if header.is_deep else ""
            raise InputError(
                f"{path}: the mask has mode {header.mode}{deep}; expected one of "
                f"{', '.join(modes)} without transparency; save it without an alpha channel, as "
                "8-bit colors or gray"
            )
        return modes[header.mode]

    return read_labels(path, mode_of, coder, size)
