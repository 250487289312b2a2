"""Run lengths, against pycocotools and Label Studio's own decoder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmseg_heritage.exchange.shapes.masks_as_runs import (
    brush_code,
    brush_mask,
    coco_counts,
    coco_mask,
    compress_counts,
    expand_counts,
)

MASKS = arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(np.any)


@settings(deadline=None, max_examples=60)
@given(MASKS)
def test_both_ways(mask):
    size = mask.shape[::-1]
    counts = coco_counts(mask, (0, 0), size)
    assert expand_counts(compress_counts(counts)) == counts.tolist()
    assert np.array_equal(coco_mask(counts, size), mask)
    assert np.array_equal(brush_mask(brush_code(mask), size), mask)


@settings(deadline=None, max_examples=40)
@given(MASKS)
def test_pycocotools_writes_the_same_letters(mask):
    coco = pytest.importorskip("pycocotools.mask", reason="pip install pycocotools")
    theirs = coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"].decode()
    assert compress_counts(coco_counts(mask, (0, 0), mask.shape[::-1])) == theirs


@settings(deadline=None, max_examples=8)
@given(MASKS)
def test_label_studio_reads_the_brush(mask):
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="its decoder")
    pixels = np.reshape(brush.decode_rle(brush_code(mask)), (*mask.shape, 4))
    assert np.array_equal(pixels[..., 3], mask * 255)
    theirs = brush.encode_rle(np.repeat(mask.ravel() * np.uint8(255), 4))
    assert np.array_equal(brush_mask(theirs, mask.shape[::-1]), mask)


def test_long_runs():
    mask = np.zeros((300, 400), bool)
    mask[100:, 7:] = True
    assert np.array_equal(brush_mask(brush_code(mask), (400, 300)), mask)


def test_damaged_codes_are_refused():
    code = brush_code(np.ones((3, 3), bool))
    for wrong, size in ((code[:-2], (3, 3)), (code, (4, 3)), ([300], (3, 3)), ([], (3, 3))):
        with pytest.raises(ValueError):
            brush_mask(wrong, size)
