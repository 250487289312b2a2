"""A folder to train on, of photographs whose predictions were corrected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg_heritage.apis.reviews.predicted_photographs import Predicted
from mmseg_heritage.dataprep.class_file import CLASSES_FILE, parse_classes, write_classes
from mmseg_heritage.dataprep.hub.convert import convert_image, encode_png
from mmseg_heritage.dataprep.ids import id_problems
from mmseg_heritage.dataprep.metadata_table import metadata_bytes
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX, are_artefact
from mmseg_heritage.utils.files import sha256, write_json
from mmseg_heritage.version import __version__

SCHEMA = "mmseg_heritage/corrections/1"
RECORD = "corrections.json"
"""File that says what the folder was made from."""


class ReviewedDataSet:
    """Writes images/, annotations/, metadata.csv, corrections.json, and own classes.json.

    Args:
        root: Folder to write to.
        photographs: Those that will be added.

    Raises:
        InputError: If photographs are missing or are not those that were predicted, or their names
            or classes cannot be those of a data set.
    """

    def __init__(self, root: Path, photographs: Sequence[Predicted]) -> None:
        self._root = root
        problems = id_problems((one.name, sample_id(one.name)) for one in photographs)
        for one in photographs:
            try:
                one.photograph()
            except InputError as error:
                problems.append(str(error))
        record = photographs[0].record
        rows = [
            {**row, "kind": record["quantities"][row["name"]]["kind"]}
            for row in record["classes"]
            if row["id"] != IGNORE_INDEX
        ]
        self._classes, wrong = parse_classes(rows)
        if problems or wrong:
            raise InputError("the photographs cannot become a data set", [*problems, *wrong])
        self._is_artefact = are_artefact(self._classes.names) and all(
            c.id == ARTEFACT.ids[ARTEFACT.names.index(c.name)] for c in self._classes.classes
        )
        self._files: list[dict[str, str]] = []
        for folder in ("images", "annotations"):
            (root / folder).mkdir()

    def add(self, one: Predicted, annotation: np.ndarray) -> None:
        """Writes a photograph with its bytes, and its annotation, uint8 (H, W)."""
        name, image = sample_id(one.name), one.photograph()
        written, content = convert_image(name, image.read_bytes(), str(image), None)
        (self._root / written.file).write_bytes(content)
        path = self._root / "annotations" / f"{name}.png"
        path.write_bytes(encode_png(Image.fromarray(annotation)))
        self._files.append({
            "id": name,
            "photograph": one.name,
            "image_sha256": written.sha256,
            "annotation_sha256": sha256(path),
        })  # fmt: skip

    def finish(self, reviews: Sequence[str]) -> None:
        """Writes the tables."""
        rows = [{"id": entry["id"]} for entry in self._files]
        (self._root / "metadata.csv").write_bytes(metadata_bytes(rows))
        if not self._is_artefact:
            write_classes(self._root / CLASSES_FILE, self._classes)
        content = {"schema": SCHEMA, "version": __version__, "reviews": list(reviews),
                   "files": self._files}  # fmt: skip
        write_json(self._root / RECORD, content)


def sample_id(name: str) -> str:
    """Returns the id of a photograph: 'wall/IMG_1' becomes 'wall_IMG_1'."""
    return name.replace("/", "_")
