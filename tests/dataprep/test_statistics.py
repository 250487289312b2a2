"""Pixel counts of masks against plain counting."""

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.checks.folder_check import check_folder
from mmseg_heritage.dataprep.checks.verified import VerifiedFiles
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.dataprep.statistics import (
    group_pixels,
    present_classes,
    sample_hashes,
    sample_pixels,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import class_pixels, read_mask
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.taxonomy import ARTEFACT


def test_the_counts_of_a_data_set(sample_set):
    samples = read_folder(sample_set)
    calls = []
    pixels = sample_pixels(samples, lambda done, total: calls.append((done, total)))
    assert list(pixels) == [s.id for s in samples]
    assert calls == [(i, 12) for i in range(1, 13)]
    for sample in samples:
        values, counts = np.unique(read_mask(sample.annotation), return_counts=True)
        found = dict(zip([*range(16), 255], pixels[sample.id].tolist(), strict=True))
        assert {v: n for v, n in found.items() if n} == dict(
            zip(values.tolist(), counts.tolist(), strict=True)
        )
        assert present_classes(pixels)[sample.id] == [v for v in values if v != 255]


def test_what_a_check_vouches_for_is_not_read_again(copied_sample_set, monkeypatch):
    samples = read_folder(copied_sample_set)
    pixels, hashes = sample_pixels(samples), sample_hashes(samples)
    check_folder(copied_sample_set)
    samples[3].annotation.write_bytes(samples[4].annotation.read_bytes())  # changed since
    read = []
    for name, original in (("read_mask", read_mask), ("read_image", read_image)):

        def counted(path, original=original, **options):
            read.append(path)
            return original(path, **options)

        monkeypatch.setattr(f"mmseg_heritage.dataprep.statistics.{name}", counted)
    verified = VerifiedFiles(copied_sample_set, ARTEFACT)
    found = sample_pixels(samples, verified=verified)
    assert sample_hashes(samples, verified=verified) == hashes
    assert read == [samples[3].annotation, samples[3].image]
    pixels[samples[3].id] = pixels[samples[4].id]
    assert all(np.array_equal(found[i], pixels[i]) for i in pixels)


def test_all_unreadable_files_are_gathered(copied_sample_set):
    samples = read_folder(copied_sample_set)
    samples[1].annotation.write_text("no mask")
    Image.fromarray(np.full((4, 4), 99, np.uint8)).save(samples[4].annotation)
    samples[2].image.write_text("no image")
    with pytest.raises(InputError) as caught:
        sample_pixels(samples)
    for i, problem in zip((1, 4), caught.value.problems, strict=True):
        assert str(samples[i].annotation) in problem
    with pytest.raises(InputError, match=samples[2].image.name):
        sample_hashes(samples)


@pytest.mark.parametrize("level", ARTEFACT.levels)
def test_groups_have_the_pixels_of_their_classes(level):
    mask = np.random.default_rng(1).choice([*range(16), 255], (40, 40)).astype(np.uint8)
    groups = group_pixels(class_pixels(mask)[None], ARTEFACT.levels[level])[0]
    expected = [0] * len(ARTEFACT.levels[level].classes)
    for value in mask.ravel():
        if value != 255 and ARTEFACT.levels[level].fine_to_group[value] != 255:
            expected[ARTEFACT.levels[level].fine_to_group[value]] += 1
    assert groups.tolist() == expected
