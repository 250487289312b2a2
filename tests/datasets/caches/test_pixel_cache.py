"""Decoded pixels in memory: the same as from the files, for every process, and never spoiled."""

import os
import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.datasets.caches import pixel_cache as module
from mmseg_heritage.datasets.caches.pixel_cache import (
    CacheItem,
    PixelCache,
    check_memory,
    decode_image,
    decode_mask,
    fill_memory,
    plan_cache,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="memory is shared by memfd")


def _pairs(root):
    return [(str(s.image), str(s.annotation)) for s in read_folder(root)]


def _open_memory():
    """Returns the nameless files in memory that this process has open."""
    folder = Path("/proc/self/fd")
    links = [str(path.readlink()) for path in folder.iterdir() if path.is_symlink()]
    return [link for link in links if "memfd:mmseg_heritage" in link]


def test_decoding_is_reading_in_bgr_and_mapping_all_ids_at_once(tmp_path):
    image, mask = tmp_path / "red.png", tmp_path / "mask.png"
    Image.new("RGB", (5, 4), (200, 10, 30)).save(image)
    Image.fromarray(np.array([[0, 1, 9, 255]], dtype=np.uint8)).save(mask)
    decoded = decode_image(image)
    assert decoded.flags.c_contiguous
    assert np.array_equal(decoded, read_image(image)[..., ::-1])
    assert np.array_equal(decode_mask(mask), read_mask(mask))
    # 0 -> 1 and 1 -> 0: one replacement after the other would merge the two.
    assert decode_mask(mask, None, {0: 1, 1: 0, 9: 255}).tolist() == [[1, 0, 255, 255]]


def test_the_plan_has_four_bytes_for_each_pixel_of_the_photographs(sample_set):
    items = plan_cache(_pairs(sample_set))
    pixels = sum(np.prod(Image.open(image).size) for image, _ in _pairs(sample_set))
    assert sum(item.nbytes for item in items) == 4 * pixels
    assert len(items) == 24
    assert len(plan_cache(_pairs(sample_set) * 2)) == 24  # a repeated sample is kept once


@linux_only
@pytest.mark.parametrize("label_map", [None, {0: 255, 4: 1, 9: 0}])
def test_memory_holds_what_decoding_gives(sample_set, label_map):
    pairs = _pairs(sample_set)
    calls = []
    cache = fill_memory(plan_cache(pairs, label_map), lambda *done: calls.append(done))
    for image, mask in pairs:
        assert np.array_equal(cache.array(image), decode_image(image))
        assert np.array_equal(cache.array(mask), decode_mask(mask, None, label_map))
    assert calls == [(n, 24) for n in range(1, 25)]


@linux_only
def test_what_a_transform_writes_reaches_nobody_else(sample_set):
    [(image, mask), *_] = _pairs(sample_set)
    cache = fill_memory(plan_cache([(image, mask)]))
    mine = cache.array(image)
    assert type(mine) is np.ndarray
    mine[...] = 7
    assert (mine == 7).all()
    assert np.array_equal(cache.array(image), decode_image(image))


@linux_only
def test_only_what_is_looked_at_is_read(tmp_path):
    """A crop of a large photograph must not cost its megabytes."""
    image = tmp_path / "large.png"
    Image.new("RGB", (3000, 2000), (9, 8, 7)).save(image, compress_level=1)
    cache = fill_memory([CacheItem(str(image), (2000, 3000, 3))])

    def resident():
        fields = Path("/proc/self/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    array = cache.array(str(image))
    crop = array[100:200, 100:200].copy()
    assert (crop == [7, 8, 9]).all()
    assert resident() - before < array.nbytes / 4


@linux_only
def test_copies_open_the_same_memory_and_the_last_one_frees_it(sample_set):
    [(image, mask), *_] = _pairs(sample_set)
    expected = decode_image(image)
    before = len(_open_memory())
    cache = fill_memory(plan_cache([(image, mask)]))
    copies = [deepcopy(cache), pickle.loads(pickle.dumps(cache))]
    assert len(_open_memory()) == before + 3
    array = cache.array(image)
    del cache
    assert all(np.array_equal(copy.array(image), expected) for copy in copies)
    copies.clear()
    assert np.array_equal(array, expected)  # what is mapped stays valid
    del array
    assert len(_open_memory()) == before


@linux_only
@pytest.mark.slow
def test_a_process_that_was_not_forked_sees_the_same(sample_set):
    [(image, mask), *_] = _pairs(sample_set)
    cache = fill_memory(plan_cache([(image, mask)]))
    code = (
        "import pickle, sys; cache, path = pickle.load(sys.stdin.buffer);"
        "sys.stdout.buffer.write(cache.array(path).tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((cache, image)),
        capture_output=True,
        check=True,
    )
    assert done.stdout == decode_image(image).tobytes()


@linux_only
def test_memory_of_a_process_that_is_gone_is_refused(sample_set):
    [(image, mask), *_] = _pairs(sample_set)
    cache = fill_memory(plan_cache([(image, mask)]))
    pickled = pickle.dumps(cache)
    del cache
    with pytest.raises(InputError, match="cannot open the memory of the one that filled it"):
        pickle.loads(pickled)


@linux_only
def test_too_much_is_refused_before_anything_is_decoded(sample_set, monkeypatch):
    items = plan_cache(_pairs(sample_set))
    needed = sum(item.nbytes for item in items)
    monkeypatch.setattr(module, "available_memory", lambda: needed)
    monkeypatch.setattr(module, "decode_image", None)
    with pytest.raises(InputError) as caught:
        fill_memory(items)
    message = str(caught.value)
    for part in (f"{needed / 1e6:.1f} MB for the pixels of 24", "Available here are", "'disk'"):
        assert part in message


@linux_only
def test_a_tenth_of_the_memory_is_left(monkeypatch):
    items = [CacheItem("a", (1000, 1000, 3)), CacheItem("b", (1000, 1000))]
    needed = 4e6 + 2 * 14e6  # two threads may be decoding one each
    monkeypatch.setattr(module, "DEFAULT_WORKERS", 2)
    monkeypatch.setattr(module, "available_memory", lambda: int(needed / 0.9) + 9)
    check_memory(items)
    monkeypatch.setattr(module, "available_memory", lambda: int(needed / 0.9) - 9)
    with pytest.raises(InputError, match=r"needs 32\.0 MB of memory: 4\.0 MB for the pixels of 2"):
        check_memory(items)


def test_other_systems_than_linux_are_told_to_use_the_disk(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InputError, match=r"needs Linux; use cache='disk'"):
        check_memory([])


@linux_only
def test_the_faults_of_all_files_are_gathered(copied_sample_set):
    pairs = _pairs(copied_sample_set)
    items = plan_cache(pairs)
    Path(pairs[0][0]).write_bytes(Path(pairs[0][0]).read_bytes()[:300])
    Image.new("L", Image.open(pairs[1][0]).size, 77).save(pairs[1][1])
    Image.new("RGB", (5, 5)).save(pairs[2][0])  # another photograph than the plan has seen
    with pytest.raises(InputError, match="faulty files") as caught:
        fill_memory(items)
    found = "\n".join(sorted(caught.value.problems))
    assert len(caught.value.problems) == 3
    for part in (
        "truncated",
        "expected class ids 0..15 or 255, found 77",
        " as its header said, found 5x5",
    ):
        assert part in found


def test_a_place_that_is_gone_says_what_to_do(tmp_path):
    cache = PixelCache({"a.png": module.Place(str(tmp_path / "gone.npy"), 128, (2, 2, 3))})
    with pytest.raises(
        InputError, match=r"cached pixels of a\.png are gone .*; start the run again"
    ):
        cache.array("a.png")
