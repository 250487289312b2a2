"""Near-duplicates are found mirrored, turned, rescaled, recompressed; others are kept apart."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmseg_heritage.dataprep.checks.duplicates import (
    MAX_DISTANCE,
    hash_distance,
    near_duplicate_groups,
    perceptual_hash,
)
from mmseg_heritage.images.photographs import read_image

ORIENTATIONS = [
    lambda image, turns=turns, mirrored=mirrored: np.rot90(
        image[:, ::-1] if mirrored else image, turns
    )
    for turns in range(4)
    for mirrored in (False, True)
]
hashes_63 = st.integers(0, 2**63 - 1)


def _photograph(seed, shape=(90, 130)):
    """A smooth random picture, which has the falling spectrum of photographs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))


def _jpeg(image, quality=40):
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_every_orientation_is_the_same_photograph(orientation, seed):
    image = _photograph(seed)
    turned = np.ascontiguousarray(orientation(image))
    assert hash_distance(perceptual_hash(image), perceptual_hash(turned)) <= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.asarray(Image.fromarray(image).resize((60, 41))),
        lambda image: np.asarray(Image.fromarray(image).resize((260, 180))),
        _jpeg,
        lambda image: (image * 0.7 + 40).astype(np.uint8),
        lambda image: image[..., [1, 1, 1]],
        lambda image: image[2:, 3:],
        lambda image: np.asarray(Image.fromarray(_jpeg(image[:, ::-1])).resize((70, 50))),
    ],
)
def test_rescaled_recompressed_and_edited_copies_are_near_duplicates(change):
    for seed in range(5):
        image = _photograph(seed)
        changed = np.ascontiguousarray(change(image))
        assert hash_distance(perceptual_hash(image), perceptual_hash(changed)) <= MAX_DISTANCE


def test_other_photographs_are_not():
    hashes = [perceptual_hash(_photograph(seed)) for seed in range(60)]
    distances = [hash_distance(a, b) for a, b in itertools.combinations(hashes, 2)]
    assert min(distances) > MAX_DISTANCE
    assert near_duplicate_groups({str(i): h for i, h in enumerate(hashes)}, MAX_DISTANCE) == []


def test_gray_and_plain_pictures_have_a_hash():
    image = _photograph(0)
    gray = np.asarray(Image.fromarray(image).convert("L"))
    assert hash_distance(perceptual_hash(gray), perceptual_hash(image)) <= 1
    for plain in (np.zeros((1, 1), np.uint8), np.full((5, 400, 3), 200, np.uint8)):
        assert perceptual_hash(plain) == 0


def _by_hand(a, b):
    """The distance in the best of eight orientations, bit by bit."""

    def bits(value):
        return np.array([int(c) for c in f"{value:064b}"]).reshape(8, 8)

    odd = np.arange(8) % 2
    best = 64
    for turned in (bits(a), bits(a).T):
        for rows, columns in itertools.product((0, 1), repeat=2):
            flipped = turned ^ (rows * odd[:, None]) ^ (columns * odd[None, :])
            best = min(best, int((flipped != bits(b)).flat[1:].sum()))
    return best


@given(hashes_63, hashes_63)
def test_the_distance_is_the_smallest_of_the_eight(a, b):
    assert hash_distance(a, b) == hash_distance(b, a) == _by_hand(a, b)
    assert hash_distance(a, a) == 0


@given(st.lists(hashes_63, max_size=12), st.integers(0, 40), st.integers(1, 5))
def test_groups_are_the_connected_pairs_whatever_the_block(values, max_distance, block):
    import mmseg_heritage.dataprep.checks.duplicates as module

    hashes = {f"s{i:02}": value for i, value in enumerate(values)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        groups = near_duplicate_groups(hashes, max_distance)
    assert groups == near_duplicate_groups(hashes, max_distance)
    of_id = {i: number for number, group in enumerate(groups) for i in group}
    assert all(len(group) > 1 and group == sorted(group) for group in groups)
    assert sum(map(len, groups)) == len(of_id)
    for a, b in itertools.combinations(hashes, 2):
        if _by_hand(hashes[a], hashes[b]) <= max_distance:
            assert of_id[a] == of_id[b]
    for group in groups:  # and nobody is in a group without a neighbor there
        for a in group:
            assert any(_by_hand(hashes[a], hashes[b]) <= max_distance for b in group if b != a)


def test_the_flipped_copies_among_real_photographs_are_found(shared_data):
    folder = shared_data / "artefact_mini" / "images"
    hashes = {p.stem[-3:]: perceptual_hash(read_image(p)) for p in folder.glob("*.png")}
    assert len(hashes) == 18
    assert near_duplicate_groups(hashes, MAX_DISTANCE) == [["A06", "C07"], ["A07", "C01"]]
