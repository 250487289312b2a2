"""Files that were found sound are not decoded again; whatever changed is."""

import json
import logging
import os

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.checks import verified as module
from mmseg_heritage.dataprep.checks.folder_check import check_folder
from mmseg_heritage.dataprep.checks.sample_check import check_pixels, check_sizes
from mmseg_heritage.dataprep.checks.verified import VERIFIED_FILE, VerifiedFiles
from mmseg_heritage.dataprep.class_file import CLASSES_FILE, write_classes
from mmseg_heritage.dataprep.data_folder import DataFolder
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.errors import InputError
from mmseg_heritage.images import known_sizes
from mmseg_heritage.images.image_files import MAX_MEGAPIXELS_VARIABLE
from mmseg_heritage.taxonomy import ARTEFACT, named_classes


@pytest.fixture
def decoded(monkeypatch):
    """Ids of the pairs that are decoded, in any order."""
    found = []
    examine = module.examine

    def spy(image, annotation, *classes):
        found.append((image or annotation).stem)
        return examine(image, annotation, *classes)

    monkeypatch.setattr(module, "examine", spy)
    return found


def _check(root):
    """Checks as training does."""
    folder = DataFolder(root)
    check_pixels([(folder.verified, sample) for sample in folder.samples])


CHECKS = {"train": _check, "check-data": check_folder}


@pytest.mark.parametrize("second", CHECKS)
@pytest.mark.parametrize("first", CHECKS)
def test_a_second_check_decodes_nothing(copied_sample_set, decoded, first, second):
    CHECKS[first](copied_sample_set)
    assert sorted(decoded) == [sample.id for sample in read_folder(copied_sample_set)]
    CHECKS[second](copied_sample_set)
    assert len(decoded) == 12


def test_a_report_from_the_record_is_the_same(copied_sample_set, decoded):
    masks = sorted((copied_sample_set / "annotations").iterdir())
    images = sorted((copied_sample_set / "images").iterdir())
    with Image.open(masks[2]) as mask:
        Image.new("L", mask.size, 255).save(masks[2])  # a warning
    Image.open(images[4]).rotate(180).save(images[7])  # looks like the other
    with Image.open(masks[4]) as mask:
        mask.save(masks[7])
    first = check_folder(copied_sample_set)
    assert len(first.faults) >= 2
    second = check_folder(copied_sample_set)
    assert len(decoded) == 12
    assert second.faults == first.faults
    for sample in first.samples:
        expected = first.class_pixels[sample.id]
        np.testing.assert_array_equal(second.class_pixels[sample.id], expected)


def _rewrite_image(root):
    path = root / "images" / "sample_0003.png"
    Image.open(path).rotate(180).save(path)
    return ["sample_0003"]


def _rewrite_mask(root):
    path = root / "annotations" / "sample_0005.png"
    Image.open(path).rotate(180).save(path)
    return ["sample_0005"]


def _change_size_only(root):
    path = root / "images" / "sample_0003.png"
    state = path.stat()
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return ["sample_0003"]


def _touch(root):
    (root / "annotations" / "sample_0001.png").touch()
    return ["sample_0001"]


def _exchange(root):
    """Two pairs exchange their names, and keep their sizes and times."""
    for folder in ("images", "annotations"):
        one, two = (root / folder / f"sample_000{i}.png" for i in (1, 2))
        one.rename(root / "other.png")
        two.rename(one)
        (root / "other.png").rename(two)
    return ["sample_0001", "sample_0002"]


def _nothing(root):
    return []


@pytest.mark.parametrize(
    "change", [_rewrite_image, _rewrite_mask, _change_size_only, _touch, _exchange, _nothing]
)
def test_only_what_changed_is_decoded(copied_sample_set, decoded, change):
    _check(copied_sample_set)
    decoded.clear()
    expected = change(copied_sample_set)
    _check(copied_sample_set)
    assert sorted(decoded) == expected
    decoded.clear()
    _check(copied_sample_set)
    assert decoded == []


def test_an_added_pair_is_decoded_and_a_removed_one_forgotten(copied_sample_set, decoded):
    (copied_sample_set / "metadata.csv").unlink()
    _check(copied_sample_set)
    decoded.clear()
    for folder in ("images", "annotations"):
        file = copied_sample_set / folder / "sample_0000.png"
        file.rename(file.with_name("new.png"))
    _check(copied_sample_set)
    assert decoded == ["new"]
    names = {file["image"][0] for file in _content(copied_sample_set)["files"]}
    assert len(names) == 12
    assert "images/sample_0000.png" not in names


def test_full_decodes_everything_and_withdraws_what_it_finds_faulty(copied_sample_set, decoded):
    """Also a file that was changed with its size and time kept, which nothing else notices."""
    check_folder(copied_sample_set)
    path = copied_sample_set / "annotations" / "sample_0003.png"
    state = path.stat()
    path.write_bytes(b"x" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert check_folder(copied_sample_set).faults == []
    decoded.clear()
    for _ in range(2):
        (fault,) = check_folder(copied_sample_set, full=True).faults
        assert fault.file == path
    assert len(decoded) == 24
    decoded.clear()
    with pytest.raises(InputError, match="faulty files"):
        _check(copied_sample_set)
    assert decoded == ["sample_0003"]


def test_faulty_files_are_decoded_every_time_and_sound_ones_not(copied_sample_set, decoded):
    mask = copied_sample_set / "annotations" / "sample_0003.png"
    with Image.open(mask) as image:
        Image.new("L", image.size, 99).save(mask)
    for _ in range(2):
        with pytest.raises(InputError, match="found 99"):
            _check(copied_sample_set)
    assert sorted(decoded) == sorted([f"sample_{i:04d}" for i in range(12)] + ["sample_0003"])


@pytest.mark.parametrize("what", ["classes", "reader"])
def test_other_classes_and_other_readers_decode_again(
    copied_sample_set, decoded, monkeypatch, what
):
    _check(copied_sample_set)
    decoded.clear()
    if what == "classes":
        names = [f"Class {c.id}" for c in ARTEFACT.classes]
        write_classes(copied_sample_set / CLASSES_FILE, named_classes(names))
    else:
        monkeypatch.setattr(module, "reader_version", lambda: "another version")
    _check(copied_sample_set)
    assert len(decoded) == 12


def test_a_lower_limit_of_pixels_holds_for_verified_files_too(copied_sample_set, monkeypatch):
    _check(copied_sample_set)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.001")
    with pytest.raises(InputError, match="faulty files"):
        _check(copied_sample_set)


def _content(root):
    return json.loads((root / VERIFIED_FILE).read_text())


def _edited(content):
    content["files"][0]["image"][1] += 1
    return json.dumps(content)


def _resealed(change):
    """Edits a record and puts a hash that fits."""

    def edit(content):
        change(content["files"][0])
        content["sha256"] = module._digest(content["files"])
        return json.dumps(content)

    return edit


DAMAGE = {
    "empty": lambda content: "",
    "cut off": lambda content: json.dumps(content)[:-200],
    "binary": lambda content: "\x00\x01",
    "a list": lambda content: "[]",
    "no files": lambda content: json.dumps({**content, "files": None}),
    "another schema": lambda content: json.dumps({**content, "schema": "other/1"}),
    "nested": lambda content: "[" * 100_000,
    "edited": _edited,
    "without a size": _resealed(lambda entry: entry.pop("size")),
    "huge": _resealed(lambda entry: entry.update(class_pixels=[10**30])),
    "too few pixels": _resealed(lambda entry: entry.update(class_pixels=[1] * 17)),
    "unknown warning": _resealed(lambda entry: entry.update(warnings=[["other", "a", "b"]])),
    "a text": _resealed(lambda entry: entry.update(image="images/a.png")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_ignored_as_a_whole_and_made_anew(
    copied_sample_set, decoded, caplog, damage
):
    _check(copied_sample_set)
    text = DAMAGE[damage](_content(copied_sample_set))
    (copied_sample_set / VERIFIED_FILE).write_text(text)
    decoded.clear()
    with caplog.at_level(logging.INFO):
        _check(copied_sample_set)
    assert len(decoded) == 12
    (message,) = caplog.messages
    assert f"{VERIFIED_FILE}: ignored, since it is damaged" in message
    decoded.clear()
    caplog.clear()
    _check(copied_sample_set)
    assert decoded == caplog.messages == []


def test_a_folder_that_cannot_be_written_to_goes_without(
    copied_sample_set, decoded, caplog, monkeypatch
):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module, "replacing", refuse)  # root may write to any folder
    for _ in range(2):
        caplog.clear()
        _check(copied_sample_set)
        (message,) = caplog.messages
        assert f"{VERIFIED_FILE}: cannot be written (Permission denied)" in message
    assert len(decoded) == 24


def test_two_checks_at_once_keep_what_both_have_found(copied_sample_set, decoded):
    samples = read_folder(copied_sample_set)
    both = [VerifiedFiles(copied_sample_set, ARTEFACT) for _ in range(2)]
    for verified, part in zip(both, (samples[:4], samples[4:]), strict=True):
        check_pixels([(verified, sample) for sample in part])
    decoded.clear()
    _check(copied_sample_set)
    assert decoded == []


def test_a_moved_data_set_keeps_its_record(copied_sample_set, tmp_path, decoded):
    _check(copied_sample_set)
    decoded.clear()
    _check(copied_sample_set.rename(tmp_path / "moved"))
    assert decoded == []


def test_headers_of_verified_files_are_not_read(copied_sample_set, monkeypatch):
    _check(copied_sample_set)
    monkeypatch.setattr(known_sizes, "image_size", lambda path: pytest.fail(f"{path} was read"))
    folder = DataFolder(copied_sample_set)
    check_sizes(folder.samples, folder.verified)
