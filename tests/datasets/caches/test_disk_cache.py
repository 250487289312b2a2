"""Decoded pixels on disk: never those of another file, state, label map or reader."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.datasets.caches import disk_cache as module
from mmseg_heritage.datasets.caches import pixel_cache as decoding
from mmseg_heritage.datasets.caches.disk_cache import cache_files, fill_disk, outdated_files
from mmseg_heritage.datasets.caches.pixel_cache import decode_image, decode_mask, plan_cache
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import named_classes
from mmseg_heritage.utils import threads


def _pairs(root):
    return [(str(s.image), str(s.annotation)) for s in read_folder(root)]


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded."""
    names = []
    decode = decoding.CacheItem.decode

    def noting(item):
        names.append(Path(item.path).name)
        return decode(item)

    monkeypatch.setattr(decoding.CacheItem, "decode", noting)
    return names


@pytest.mark.parametrize("label_map", [None, {0: 255, 4: 1, 9: 0}])
def test_the_disk_holds_what_decoding_gives(sample_set, tmp_path, label_map):
    pairs = _pairs(sample_set)
    cache = fill_disk(plan_cache(pairs, label_map), tmp_path)
    for image, mask in pairs:
        assert np.array_equal(cache.array(image), decode_image(image))
        assert np.array_equal(cache.array(mask), decode_mask(mask, None, label_map))
        array = cache.array(image)
        array[...] = 7  # what a transform writes stays its own
        assert np.array_equal(cache.array(image), decode_image(image))
    assert len(list(tmp_path.iterdir())) == 24


def test_a_second_fill_decodes_nothing(sample_set, tmp_path, decoded):
    items = plan_cache(_pairs(sample_set))
    fill_disk(items, tmp_path)
    assert len(decoded) == 24
    again = fill_disk(items, tmp_path)
    assert len(decoded) == 24
    assert set(again.places) == {item.path for item in items}


def test_a_changed_photograph_is_decoded_anew_and_the_old_file_is_told(
    copied_sample_set, tmp_path, decoded
):
    pairs = _pairs(copied_sample_set)
    fill_disk(plan_cache(pairs), tmp_path)
    decoded.clear()
    image = Path(pairs[0][0])
    Image.new("RGB", Image.open(image).size, (1, 2, 3)).save(image)
    items = plan_cache(pairs)
    cache = fill_disk(items, tmp_path)
    assert decoded == [image.name]
    assert (cache.array(str(image)) == [3, 2, 1]).all()
    [old] = outdated_files(items, tmp_path)
    assert old.exists()
    assert old not in cache_files(items, tmp_path).values()


def test_a_change_of_time_alone_counts(copied_sample_set, tmp_path, decoded):
    pairs = _pairs(copied_sample_set)
    fill_disk(plan_cache(pairs), tmp_path)
    decoded.clear()
    found = Path(pairs[3][1]).stat()
    os.utime(pairs[3][1], ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    fill_disk(plan_cache(pairs), tmp_path)
    assert decoded == [Path(pairs[3][1]).name]


def test_a_mask_that_was_verified_for_other_classes_is_read_again(sample_set, tmp_path, decoded):
    pairs = _pairs(sample_set)[:1]
    label_map = {0: 0, 1: 1}
    fill_disk(plan_cache(pairs, label_map), tmp_path)
    decoded.clear()
    with pytest.raises(InputError, match="expected class ids"):
        fill_disk(plan_cache(pairs, label_map, named_classes(("Moss", "Rust"))), tmp_path)
    assert decoded == [Path(pairs[0][1]).name]


def test_label_maps_share_the_photographs_but_not_the_masks(sample_set, tmp_path, decoded):
    pairs = _pairs(sample_set)
    fine = plan_cache(pairs)
    fill_disk(fine, tmp_path)
    decoded.clear()
    coarse = plan_cache(pairs, {0: 255, 4: 1})
    cache = fill_disk(coarse, tmp_path)
    assert sorted(decoded) == sorted(Path(mask).name for _, mask in pairs)
    assert np.array_equal(cache.array(pairs[0][1]), decode_mask(pairs[0][1], None, {0: 255, 4: 1}))
    assert outdated_files(fine, tmp_path) == outdated_files(coarse, tmp_path) == []


def test_another_reader_decodes_anew(sample_set, tmp_path, decoded, monkeypatch):
    items = plan_cache(_pairs(sample_set)[:1])
    fill_disk(items, tmp_path)
    monkeypatch.setattr(module, "reader_version", lambda: "another version")
    fill_disk(items, tmp_path)
    assert len(decoded) == 4
    assert len(outdated_files(items, tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_damaged_file_of_the_cache_is_made_anew(sample_set, tmp_path, content):
    items = plan_cache(_pairs(sample_set)[:1])
    fill_disk(items, tmp_path)
    for file in cache_files(items, tmp_path).values():
        file.write_bytes(file.read_bytes()[:-1] if content is None else content)
    cache = fill_disk(items, tmp_path)
    assert np.array_equal(cache.array(items[0].path), decode_image(items[0].path))


def test_an_array_of_another_layout_is_not_taken(sample_set, tmp_path):
    items = plan_cache(_pairs(sample_set)[:1])
    for item in items:
        file = cache_files(items, tmp_path)[item.path]
        np.save(file, np.asfortranarray(np.zeros(item.shape, np.uint8)))
    cache = fill_disk(items, tmp_path)
    assert np.array_equal(cache.array(items[1].path), decode_mask(items[1].path))


def test_several_fill_at_once(sample_set, tmp_path):
    items = plan_cache(_pairs(sample_set))
    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(lambda _: fill_disk(items, tmp_path), range(4)))
    assert all(cache.places == caches[0].places for cache in caches)
    assert len(list(tmp_path.iterdir())) == 24
    assert np.array_equal(caches[3].array(items[0].path), decode_image(items[0].path))


SLOW_FILL = """
import sys, time
from mmseg_heritage.datasets.caches import pixel_cache as cache
from mmseg_heritage.datasets.caches.disk_cache import fill_disk
from mmseg_heritage.dataprep.layout import read_folder

decode = cache.CacheItem.decode
def slowly(item):
    time.sleep(0.05)
    return decode(item)
cache.CacheItem.decode = slowly
pairs = [(str(s.image), str(s.annotation)) for s in read_folder(sys.argv[1])]
fill_disk(cache.plan_cache(pairs), sys.argv[2])
"""


@pytest.mark.slow
def test_a_killed_fill_goes_on_where_it_stopped(sample_set, tmp_path, decoded):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_FILL, str(sample_set), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    limit = time.monotonic() + 60
    while len(list(tmp_path.glob("[!.]*.npy"))) < 5 and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    made = len(list(tmp_path.glob("[!.]*.npy")))
    assert 5 <= made < 24
    pairs = _pairs(sample_set)
    cache = fill_disk(plan_cache(pairs), tmp_path)
    assert len(decoded) == 24 - made
    assert all(np.array_equal(cache.array(image), decode_image(image)) for image, _ in pairs)


def test_what_killed_processes_left_is_removed_after_a_while(sample_set, tmp_path):
    items = plan_cache(_pairs(sample_set)[:1])
    name = cache_files(items, tmp_path)[items[0].path].stem[:32]
    old, new, of_user = (
        tmp_path / f".{name}-abc12_x3.npy",
        tmp_path / f".{name}-abcdefgh.npy",
        tmp_path / ".mine.npy",
    )
    for path in (old, new, of_user):
        path.write_bytes(b"half")
    for path in (old, of_user):
        os.utime(path, (time.time() - 7200,) * 2)
    fill_disk(items, tmp_path)
    assert not old.exists()
    assert new.exists()
    assert of_user.exists()


def test_an_unfinished_file_that_is_renamed_meanwhile_disturbs_nobody(
    sample_set, tmp_path, monkeypatch
):
    """Another process finishes its file between the listing of the folder and the look at it."""
    items = plan_cache(_pairs(sample_set)[:1])
    name = cache_files(items, tmp_path)[items[0].path].stem[:32]
    listed = [tmp_path / f".{name}-abcdefgh.npy"]
    glob = Path.glob
    monkeypatch.setattr(
        Path, "glob", lambda folder, name: listed if folder == tmp_path else glob(folder, name)
    )
    assert len(fill_disk(items, tmp_path).places) == 2


def test_a_disk_without_room_is_refused_before_anything_is_decoded(
    sample_set, tmp_path, decoded, monkeypatch
):
    items = plan_cache(_pairs(sample_set))
    needed = sum(item.nbytes for item in items)
    usage = type("Usage", (), {"free": needed - 1})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match=r"needs 0\.5 MB .* of 24 more .* with cache_dir"):
        fill_disk(items, tmp_path)
    assert decoded == []
    usage.free = needed
    fill_disk(items, tmp_path)
    usage.free = 0
    fill_disk(items, tmp_path)  # all is there: no room is needed


def test_a_disk_that_fills_up_keeps_what_is_there(sample_set, tmp_path, monkeypatch):
    items = plan_cache(_pairs(sample_set))
    save, saved = np.save, []

    def until_full(stream, array):
        if len(saved) == 6:
            stream.write(b"half")
            raise OSError(28, "No space left on device")
        saved.append(stream)
        save(stream, array)

    monkeypatch.setattr(module.np, "save", until_full)
    monkeypatch.setattr(threads, "DEFAULT_WORKERS", 1)
    with pytest.raises(InputError, match=r"No space left on device.*is kept, and the next start"):
        fill_disk(items, tmp_path)
    assert len(list(tmp_path.iterdir())) == 6
    monkeypatch.undo()
    assert len(fill_disk(items, tmp_path).places) == 24


def test_a_folder_that_cannot_be_made_is_refused(sample_set, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written .* cache_dir"):
        fill_disk(plan_cache(_pairs(sample_set)[:1]), tmp_path / "file" / "cache")


def test_a_photograph_that_is_gone_is_named(copied_sample_set, tmp_path):
    pairs = _pairs(copied_sample_set)
    items = plan_cache(pairs)
    Path(pairs[0][0]).unlink()
    with pytest.raises(InputError, match=r"sample_0000\.png: cannot be read"):
        fill_disk(items, tmp_path)
