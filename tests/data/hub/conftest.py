"""A small data set in the hub's Parquet schema."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

TEXTS = (
    "id",
    "material",
    "content",
    "type",
    "damage_description",
    "llava_description",
    "verified_description",
)
SCHEMA = pyarrow.schema(
    [
        pyarrow.field(
            name,
            pyarrow.string()
            if name in TEXTS
            else pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
        )
        for name in (
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
    ]
)
# How masks are stored: format and numpy type (the hub's own are not known for certain).
MASKS = [("PNG", "u1"), ("TIFF", "i4"), ("PNG", "<u2"), ("TIFF", "u1"), ("PNG", "P")]


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def mask_bytes(mask: np.ndarray, kind: str, dtype: str) -> bytes:
    if dtype == "P":
        image = Image.fromarray(mask).convert("P")
        image.putpalette(list(range(256)) * 3)
    else:
        image = Image.fromarray(mask.astype(dtype))
    return encoded(image, kind)


def make_row(number: int, size: tuple[int, int] = (40, 30)) -> dict:
    """One row: a JPEG or PNG photograph and a mask of all classes and 255."""
    rng = np.random.default_rng(number)
    width, height = size
    photograph = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = rng.integers(0, 16, (height // 2, width))
    mask[:, :3] = 255
    image = encoded(photograph, "JPEG" if number % 2 else "PNG")
    texts = dict.fromkeys(TEXTS, f'text {number}, "quoted"\nand é')
    texts |= {"id": f"clj{number:04d}", "material": "Paper", "content": "Line art"}
    annotation = mask_bytes(mask, *MASKS[number % len(MASKS)])
    return {
        **texts,
        "image": {"bytes": image, "path": None},
        "annotation": {"bytes": annotation, "path": None},
        "annotation_rgb": {"bytes": encoded(photograph, "PNG"), "path": None},
    }


def write_shards(folder: Path, shards: list[list[dict]], **options) -> list[Path]:
    """Writes one Parquet file, of one row group, for each list of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, rows in enumerate(shards):
        paths.append(folder / f"train-{number:05d}-of-{len(shards):05d}.parquet")
        table = pyarrow.Table.from_pylist(rows, schema=SCHEMA)
        parquet.write_table(table, paths[-1], **options)
    return paths


@pytest.fixture
def row() -> Callable[..., dict]:
    """Makes one row: (number, size=(40, 30))."""
    return make_row


@pytest.fixture
def shards_of(tmp_path: Path) -> Callable[..., Path]:
    """Writes Parquet files from lists of rows and returns their folder."""

    def write(*shards: list[dict], name: str = "hub", **options) -> Path:
        write_shards(tmp_path / name, list(shards), **options)
        return tmp_path / name

    return write


@pytest.fixture
def hub_folder(shards_of: Callable[..., Path]) -> Path:
    """Two Parquet files with 4 and 3 rows; their masks are PNG and TIFF, 8, 16 and 32 bits."""
    return shards_of([make_row(i) for i in range(4)], [make_row(i) for i in range(4, 7)])
