"""Each fault put into a sound data set is found exactly, and nothing else is."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmseg_heritage.dataprep.checks.faults import KINDS
from mmseg_heritage.dataprep.checks.folder_check import check_folder
from mmseg_heritage.dataprep.checks.sample_check import check_pixels
from mmseg_heritage.dataprep.data_folder import DataFolder
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import MAX_MEGAPIXELS_VARIABLE
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def image_of(root, number):
    return root / "images" / f"sample_{number:04d}.png"


def mask_of(root, number):
    return root / "annotations" / f"sample_{number:04d}.png"


def change_rows(root, change):
    """Rewrites metadata.csv with ``change(columns, rows)``."""
    path = root / "metadata.csv"
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames), list(reader)
    change(columns, rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def set_cell(column, value, number=3):
    def change(columns, rows):
        if column not in columns:
            columns.append(column)
        rows[number][column] = value

    return lambda root: change_rows(root, change)


def save_mask(root, number, change):
    mask = read_mask(mask_of(root, number))
    Image.fromarray(change(mask)).save(mask_of(root, number))


def with_values(mask):
    mask = mask.copy()
    mask[0, :3], mask[1, 0] = 99, 16
    return mask


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def copy_photograph(root, change):
    Image.fromarray(np.ascontiguousarray(change(read_image(image_of(root, 3))))).save(
        image_of(root, 5)
    )
    # The mask must keep the size of its image.
    save_mask(root, 5, lambda mask: np.zeros(read_image(image_of(root, 5)).shape[:2], np.uint8))


def turn(path, orientation):
    """Gives a file an EXIF orientation; its pixels stay as they are."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif)


def circle(root):
    set_cell("source_id", "sample_0006", 5)(root)
    set_cell("source_id", "sample_0005", 6)(root)


# What is put in: how, and the (kind, file) of each fault that must be found.
INJECTED = {
    "truncated image": (
        lambda r: truncate(image_of(r, 3)),
        [("truncated", "images/sample_0003.png")],
    ),
    "truncated mask": (
        lambda r: truncate(mask_of(r, 3)),
        [("truncated", "annotations/sample_0003.png")],
    ),
    "text": (lambda r: image_of(r, 3).write_text("x"), [("unreadable", "images/sample_0003.png")]),
    "dangling link": (
        lambda r: (image_of(r, 3).unlink(), image_of(r, 3).symlink_to(r / "gone.png")),
        [("missing", "images/sample_0003.png")],
    ),
    "no annotation": (lambda r: mask_of(r, 3).unlink(), [("unpaired", "images/sample_0003.png")]),
    "no image": (
        lambda r: image_of(r, 3).unlink(),
        [("unpaired", "annotations/sample_0003.png"), ("no image", "metadata.csv")],
    ),
    "name of an older encoding": (
        lambda r: image_of(r, 3).rename(os.fsdecode(os.fsencode(r / "images") + b"/caf\xe9.png")),
        [
            ("name", r"images/caf\xe9.png"),
            ("unpaired", "annotations/sample_0003.png"),
            ("no image", "metadata.csv"),
        ],
    ),
    "repeated id": (
        lambda r: Image.open(image_of(r, 3)).save(image_of(r, 3).with_suffix(".tif")),
        [("repeated id", "images/sample_0003.tif")],
    ),
    "no row": (
        lambda r: change_rows(r, lambda columns, rows: rows.pop(3)),
        [("no row", "metadata.csv")],
    ),
    "second row": (
        lambda r: change_rows(r, lambda columns, rows: rows.append(rows[3])),
        [("metadata", "metadata.csv")],
    ),
    "row without id": (
        lambda r: change_rows(r, lambda columns, rows: rows.append({"content": "Line art"})),
        [("metadata", "metadata.csv")],
    ),
    "no column id": (
        lambda r: (r / "metadata.csv").write_text("name\nx\n"),
        [("metadata", "metadata.csv"), ("unknown column", "metadata.csv")],
    ),
    "no text": (
        lambda r: (r / "metadata.csv").write_bytes(b"id\n\xff\xfe\n"),
        [("metadata", "metadata.csv")],
    ),
    "circle": (circle, [("source circle", "metadata.csv")] * 2),
    "size": (
        lambda r: save_mask(r, 3, lambda mask: mask[1:]),
        [("size", "annotations/sample_0003.png")],
    ),
    "color mask": (
        lambda r: Image.open(mask_of(r, 3)).convert("RGB").save(mask_of(r, 3)),
        [("mode", "annotations/sample_0003.png")],
    ),
    "mask as JPEG": (
        lambda r: Image.open(mask_of(r, 3)).save(mask_of(r, 3), "JPEG"),
        [("mode", "annotations/sample_0003.png")],
    ),
    "turned photograph": (
        lambda r: turn(image_of(r, 3), 3),
        [("orientation", "annotations/sample_0003.png")],
    ),
    "turned photograph and mask": (
        lambda r: (turn(image_of(r, 3), 3), turn(mask_of(r, 3), 3)),
        [],
    ),
    "ids": (
        lambda r: save_mask(r, 3, with_values),
        [("ids", "annotations/sample_0003.png")],
    ),
    "copy": (
        lambda r: copy_photograph(r, lambda pixels: pixels),
        [("duplicate", "images/sample_0003.png")],
    ),
    "mirrored copy": (
        lambda r: copy_photograph(r, lambda pixels: pixels[:, ::-1]),
        [("near-duplicate", "images/sample_0003.png")],
    ),
    "turned copy": (
        lambda r: copy_photograph(r, lambda pixels: np.rot90(pixels)),
        [("near-duplicate", "images/sample_0003.png")],
    ),
    "all 255": (
        lambda r: save_mask(r, 3, lambda mask: np.full_like(mask, 255)),
        [("no label", "annotations/sample_0003.png")],
    ),
    "smoothed mask": (
        lambda r: save_mask(
            r,
            3,
            lambda mask: np.tile(np.arange(16, dtype=np.uint8), (len(mask), mask.shape[1]))[
                :, : mask.shape[1]
            ],
        ),
        [("mask values", "annotations/sample_0003.png")],
    ),
    "unknown source": (set_cell("source_id", "elsewhere"), [("unknown source", "metadata.csv")]),
    "unknown column": (set_cell("soure_id", "x"), [("unknown column", "metadata.csv")]),
    "too many fields": (
        lambda r: (r / "metadata.csv").write_text(
            (r / "metadata.csv").read_text().replace("\n", ",,,,\n").replace(",,,,\n", "\n", 1)
        ),
        [("unknown column", "metadata.csv")] * 12,
    ),
    "material": (set_cell("material", "paper"), [("unknown domain", "metadata.csv")]),
    "content": (set_cell("content", ""), [("unknown domain", "metadata.csv")]),
    "profile": (
        lambda r: (
            Image.open(image_of(r, 3))
            .convert("CMYK")
            .save(image_of(r, 3).with_suffix(".tif"), icc_profile=SRGB)
            or image_of(r, 3).unlink()
        ),
        [("color profile", "images/sample_0003.tif")],
    ),
    "other file": (
        lambda r: (r / "images" / "scan.psd").write_text("x"),
        [("other file", "images/scan.psd")],
    ),
    "folder": (
        lambda r: (r / "annotations" / "more").mkdir(),
        [("other file", "annotations/more")],
    ),
    "hidden file": (lambda r: (r / "images" / ".DS_Store").write_text("x"), []),
    "known copy": (
        lambda r: (
            copy_photograph(r, lambda pixels: pixels),
            set_cell("source_id", "sample_0003", 5)(r),
        ),
        [],
    ),
    "known group": (
        lambda r: (
            copy_photograph(r, lambda pixels: pixels[::-1]),
            set_cell("group_id", "g", 3)(r),
            set_cell("group_id", "g", 5)(r),
        ),
        [],
    ),
}


def found(report):
    return [(f.kind, Path(f.file).relative_to(report.root).as_posix()) for f in report.faults]


@pytest.mark.parametrize("case", INJECTED)
def test_each_fault_is_found_and_no_other(case, copied_sample_set):
    inject, expected = INJECTED[case]
    inject(copied_sample_set)
    report = check_folder(copied_sample_set, workers=2)
    assert found(report) == expected
    severities = {KINDS[kind].severity for kind, _ in expected}
    assert report.passed() is ("fault" not in severities)
    assert report.passed(strict=True) is (not severities)


def test_every_kind_of_fault_is_injected_somewhere():
    injected = {kind for _, expected in INJECTED.values() for kind, _ in expected}
    assert injected | {"too large"} == set(KINDS)


@pytest.mark.parametrize("case", INJECTED)
def test_faults_are_what_training_refuses_and_warnings_what_it_takes(case, copied_sample_set):
    inject, expected = INJECTED[case]
    inject(copied_sample_set)
    # Training cannot see that a photograph is there twice.
    faults = [k for k, _ in expected if KINDS[k].severity == "fault" and k != "duplicate"]
    try:
        folder = DataFolder(copied_sample_set)
        check_pixels([(folder.verified, sample) for sample in folder.samples])
        refused = False
    except InputError:
        refused = True
    assert refused is bool(faults)


def test_all_faults_are_found_at_once(copied_sample_set):
    truncate(mask_of(copied_sample_set, 7))
    save_mask(copied_sample_set, 8, with_values)
    save_mask(copied_sample_set, 9, lambda mask: mask[1:])
    for case in ("truncated image", "unknown column", "other file"):
        INJECTED[case][0](copied_sample_set)
    kinds = [kind for kind, _ in found(check_folder(copied_sample_set))]
    expected = ["truncated", "truncated", "size", "ids", "unknown column", "other file"]
    assert kinds == expected


def test_illegal_ids_come_with_their_pixels(copied_sample_set):
    save_mask(copied_sample_set, 3, with_values)
    (fault,) = check_folder(copied_sample_set).faults
    assert fault.values == {16: 1, 99: 3}
    assert "found 16, 99 (4 of " in fault.message


def test_images_above_the_limit_are_faults(copied_sample_set, monkeypatch):
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.001")
    report = check_folder(copied_sample_set)
    assert {kind for kind, _ in found(report)} == {"too large"}
    assert len(report.faults) == 24
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "x")
    with pytest.raises(InputError, match=MAX_MEGAPIXELS_VARIABLE):
        check_folder(copied_sample_set)


def test_three_copies_are_one_fault_that_names_them(copied_sample_set):
    for number in (5, 8):
        Image.open(image_of(copied_sample_set, 3)).save(image_of(copied_sample_set, number))
        save_mask(copied_sample_set, number, lambda mask: mask)
    report = check_folder(copied_sample_set)
    (fault,) = [f for f in report.faults if f.kind == "duplicate"]
    assert [path.stem for path in fault.others] == ["sample_0005", "sample_0008"]


def test_near_duplicates_are_not_looked_for_without_a_distance(copied_sample_set):
    INJECTED["mirrored copy"][0](copied_sample_set)
    assert check_folder(copied_sample_set, max_distance=None).faults == []


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_changes_nothing(copied_sample_set, workers):
    for case in ("mirrored copy", "truncated mask", "unknown column"):
        INJECTED[case][0](copied_sample_set)
    save_mask(copied_sample_set, 8, with_values)
    alone = check_folder(copied_sample_set, workers=1)
    report = check_folder(copied_sample_set, workers=workers)
    assert report.faults == alone.faults
    for sample_id, counts in alone.class_pixels.items():
        np.testing.assert_array_equal(report.class_pixels[sample_id], counts)


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_must_be_some(sample_set, workers):
    with pytest.raises(InputError, match=f"workers: expected at least 1, found {workers}"):
        check_folder(sample_set, workers=workers)


def test_the_sample_set_is_sound_and_counted_exactly(sample_set):
    report = check_folder(sample_set)
    assert report.faults == []
    assert report.passed(strict=True)
    assert (report.num_images, report.num_annotations, len(report.samples)) == (12, 12, 12)
    for sample in report.samples:
        mask = np.array(Image.open(sample.annotation))
        expected = [np.sum(mask == i) for i in [*(c.id for c in ARTEFACT.classes), IGNORE_INDEX]]
        np.testing.assert_array_equal(report.class_pixels[sample.id], expected)


def test_the_real_images_have_no_faults_but_the_copies_that_are_known(shared_data, tmp_path):
    for name in ("images", "annotations"):  # the record is not to go beside them
        (tmp_path / name).symlink_to(shared_data / "artefact_mini" / name)
    report = check_folder(tmp_path)
    pairs = [
        sorted(path.stem.removeprefix("artefact_") for path in (fault.file, *fault.others))
        for fault in report.faults
    ]
    # The flipped copies that the data's own notes list.
    assert sorted(pairs) == [["A06", "C07"], ["A07", "C01"]]
    assert {fault.kind for fault in report.faults} == {"near-duplicate"}
    assert report.passed()


@pytest.mark.parametrize("part", ["", "images", "annotations"])
def test_what_is_no_data_set_is_an_input_error(tmp_path, part):
    for name in {"images", "annotations"} - {part}:
        (tmp_path / "set" / name).mkdir(parents=True)
    with pytest.raises(InputError, match="no such folder" if part else "holds no images"):
        check_folder(tmp_path / "set")
    with pytest.raises(InputError, match="does not exist"):
        check_folder(tmp_path / "nowhere")
