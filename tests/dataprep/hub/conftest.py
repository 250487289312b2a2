"""A small data set in the hub's Parquet schema."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from mmseg_heritage.taxonomy import CONTENTS, MATERIALS

COLUMNS = (
    "id",
    "image",
    "annotation",
    "annotation_rgb",
    "material",
    "content",
    "type",
    "damage_description",
    "llava_description",
    "verified_description",
)
IMAGES = ("image", "annotation", "annotation_rgb")
# How masks are stored: format and numpy type (the hub's own are not known for certain).
MASKS = [
    ("PNG", "u1"),
    ("TIFF", "i4"),
    ("PNG", "<u2"),
    ("TIFF", "u1"),
    ("PNG", "P"),
    ("TIFF", "<u2"),
]
# Photographs: format and mode; "turned" has the orientation of a camera held upright.
PHOTOGRAPHS = ("PNG RGB", "JPEG RGB", "JPEG L", "PNG RGBA", "JPEG turned", "TIFF I;16", "PNG P")


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photograph_bytes(number: int, size: tuple[int, int]) -> bytes:
    rng = np.random.default_rng(number)
    width, height = size
    kind, mode = PHOTOGRAPHS[number % len(PHOTOGRAPHS)].split()
    if mode == "turned":
        pixels = rng.integers(0, 256, (width, height, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        return encoded(Image.fromarray(pixels), kind, exif=exif)
    if mode == "I;16":
        return encoded(Image.fromarray(rng.integers(0, 65536, (height, width), "<u2")), kind)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels).convert(mode), kind)


def mask_of(number: int, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    """The mask of a row: all classes in the upper half, Clean below, 255 at the left."""
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    rng = np.random.default_rng(number)
    mask[: height // 2] = rng.integers(0, 16, (height // 2, width))
    mask[:, :3] = 255
    return mask


def mask_bytes(mask: np.ndarray, kind: str, dtype: str) -> bytes:
    if dtype == "P":
        image = Image.fromarray(mask).convert("P")
        image.putpalette(list(range(256)) * 3)
    else:
        image = Image.fromarray(mask.astype(dtype))
    return encoded(image, kind)


def make_row(number: int, size: tuple[int, int] = (40, 30)) -> dict:
    """One row, whose number says how photograph and mask are stored."""
    texts = {name: f'text {number}, "quoted"\nand é' for name in COLUMNS if name not in IMAGES}
    texts["id"] = f"clj{number:04d}"
    texts["material"] = MATERIALS[number % 3]
    texts["content"] = CONTENTS[number % 2]
    annotation = mask_bytes(mask_of(number, size), *MASKS[number % len(MASKS)])
    return {
        **texts,
        "image": {"bytes": photograph_bytes(number, size), "path": f"{number}.png"},
        "annotation": {"bytes": annotation, "path": None},
        "annotation_rgb": {"bytes": b"not read", "path": None},
    }


def write_shards(folder: Path, shards: list[list[dict]], **options) -> list[Path]:
    """Writes a Parquet file for each list of rows; one row group unless options say otherwise."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    schema = pyarrow.schema(
        [(name, image if name in IMAGES else pyarrow.string()) for name in COLUMNS]
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, rows in enumerate(shards):
        paths.append(folder / f"train-{number:05d}-of-{len(shards):05d}.parquet")
        table = pyarrow.Table.from_pylist(rows, schema=schema)
        parquet.write_table(table, paths[-1], **options)
    return paths


def write_hub_folder(folder: Path, num_rows: int = 7, size: tuple[int, int] = (40, 30)) -> Path:
    """Writes the rows 0, 1, ... into two Parquet files and returns their folder."""
    rows = [make_row(number, size) for number in range(num_rows)]
    write_shards(folder, [rows[: num_rows // 2 + 1], rows[num_rows // 2 + 1 :]])
    return folder


@pytest.fixture
def row() -> Callable[..., dict]:
    """Makes one row: (number, size=(40, 30))."""
    return make_row


@pytest.fixture
def expected_mask() -> Callable[..., np.ndarray]:
    """The mask of a row, uint8 (H, W): (number, size=(40, 30))."""
    return mask_of


@pytest.fixture
def shards_of(tmp_path: Path) -> Callable[..., Path]:
    """Writes Parquet files from lists of rows and returns their folder."""

    def write(*shards: list[dict], name: str = "hub", **options) -> Path:
        write_shards(tmp_path / name, list(shards), **options)
        return tmp_path / name

    return write


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    """Two Parquet files with 4 and 3 rows, of every kind of photograph and mask."""
    return write_hub_folder(tmp_path / "hub")
