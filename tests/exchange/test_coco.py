"""COCO, read by pycocotools."""

import json

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.coco import open_coco, write_coco
from mmseg_heritage.exchange.damage_map import Legend


@pytest.mark.parametrize("as_polygons", [False, True])
def test_pycocotools_reads_the_maps(as_polygons, artefact_map, own_map, outlines, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco", reason="pip install pycocotools")
    path = tmp_path / "coco.json"
    with write_coco(path, as_polygons) as writer:
        for found in (artefact_map, own_map):
            writer.add(found, outlines(found))
    data = coco.COCO(str(path))
    assert [image["file_name"] for image in data.imgs.values()] == ["old wall.png", "plaster.png"]
    for image_id, found in enumerate((artefact_map, own_map), start=1):
        painted = np.full(found.class_map.shape, found.rest)
        for annotation in data.loadAnns(data.getAnnIds(image_id)):
            mask = data.annToMask(annotation).astype(bool)
            left, top, width, height = annotation["bbox"]
            if not isinstance(annotation["segmentation"], list):
                rows, columns = np.nonzero(mask)
                assert annotation["area"] == mask.sum()
                assert (left, top) == (columns.min(), rows.min())
                assert (width, height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
            painted[mask] = annotation["category_id"]
        # Its own rule of polygons differs from pixel centers at some edges.
        wrong = np.count_nonzero(painted != found.class_map)
        assert wrong <= (0.02 * painted.size if as_polygons else 0)


def content(**changes):
    annotation = {"id": 5, "image_id": 1, "category_id": 2, "segmentation": [[0, 0, 4, 0, 4, 4]]}
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 83, "height": 60}],
        "categories": [{"id": 2, "name": "Clean"}],
        "annotations": [{**annotation, **changes}],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_id": 7}, "annotation 5: there is no category 7"),
        ({"segmentation": [[0, 0, 4, 4, 4, 0, 0, 4]]}, "annotation 5: crosses itself"),
        ({"segmentation": [[0, 0, 4]]}, "annotation 5: "),
        ({"segmentation": None}, "annotation 5: expected a segmentation"),
        ({"segmentation": {"size": [3, 3], "counts": "1"}}, "annotation 5: expected the size"),
        ({"segmentation": {"size": [60, 83], "counts": "\x7f"}}, "the counts are damaged"),
        ({"segmentation": {"size": [60, 83], "counts": [1, 1 << 40]}}, "do not fit"),
        ({"segmentation": {"size": [60, 83], "counts": [-5, 9]}}, "do not fit"),
        ({"id": "x"}, "expected a whole number"),
    ],
)
def test_what_cannot_be_read_is_named(changes, message, tmp_path, own_map):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content(**changes)))
    with pytest.raises(InputError) as caught:
        for reader in open_coco(path).values():
            reader((83, 60), Legend(own_map.classes, None, "Clean"))
    assert message in str(caught.value)
