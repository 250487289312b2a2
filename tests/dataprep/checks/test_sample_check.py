"""Checking samples finds every fault of every file in one go."""

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.checks.sample_check import check_pixels, check_sizes
from mmseg_heritage.dataprep.data_folder import DataFolder
from mmseg_heritage.errors import InputError


def _check_pixels(folder, progress=None):
    check_pixels([(folder.verified, sample) for sample in folder.samples], progress)


def _overwrite(path, array):
    Image.fromarray(array).save(path)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-400])


def test_a_good_set_passes_and_progress_counts_up(copied_sample_set):
    folder = DataFolder(copied_sample_set)
    calls = []
    check_sizes(folder.samples, folder.verified)
    _check_pixels(folder, lambda done, total: calls.append((done, total)))
    assert calls == [(i, 12) for i in range(1, 13)]


def test_every_fault_of_every_file_is_gathered_in_order(copied_sample_set):
    folder = DataFolder(copied_sample_set)
    samples = folder.samples
    size = Image.open(samples[0].annotation).size
    shape = (size[1], size[0])
    _overwrite(samples[0].annotation, np.full(shape, 99, np.uint8))
    _truncate(samples[2].image)
    _overwrite(samples[2].annotation, np.full((3, 4), 16, np.uint8))  # size is unknown: values tell
    _overwrite(samples[5].annotation, np.zeros((5, 4, 3), np.uint8))
    _overwrite(samples[7].annotation, np.zeros((3, 4), np.uint8))
    samples[9].annotation.write_text("no image")
    with pytest.raises(InputError) as caught:
        _check_pixels(folder)
    expected = [
        (samples[0].annotation, "found 99"),
        (samples[2].image, "truncated"),
        (samples[2].annotation, "found 16"),
        (samples[5].annotation, "3 channels"),
        (samples[7].annotation, "found 4x3"),
        (samples[9].annotation, "cannot be read as an image"),
    ]
    assert len(caught.value.problems) == len(expected)
    for problem, (path, message) in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(str(path))
        assert message in problem


def test_sizes_are_compared_from_the_headers_alone(copied_sample_set):
    folder = DataFolder(copied_sample_set)
    samples = folder.samples
    _truncate(samples[0].image)  # the header is whole
    check_sizes(samples, folder.verified)
    width, height = Image.open(samples[3].image).size
    _overwrite(samples[3].annotation, np.zeros((height + 1, width), np.uint8))
    samples[4].image.write_text("no image")
    with pytest.raises(InputError) as caught:
        check_sizes(samples, folder.verified)
    larger, unreadable = caught.value.problems
    assert f"{samples[3].annotation}: the mask is {width}x{height + 1}" in larger
    assert f"its image {width}x{height}" in larger
    assert unreadable.startswith(str(samples[4].image))


def test_a_turned_photograph_and_its_upright_mask_agree(copied_sample_set):
    folder = DataFolder(copied_sample_set)
    sample = folder.samples[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(sample.image) as image:
        upright = image.copy()
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    assert stored.size != upright.size or upright.width == upright.height
    stored.save(sample.image, exif=exif)
    check_sizes([sample], folder.verified)
    check_pixels([(folder.verified, sample)])
