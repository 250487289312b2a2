"""Copies as files: where they may train, what they hold, and what happens to a stopped run."""

import csv
import itertools
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("mmseg")

from mmseg_heritage.apis import augmenting as module
from mmseg_heritage.apis.augmenting import RECORD, augment
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.dataprep.splits.split import check_split, default_split, load_split
from mmseg_heritage.dataprep.splits.split_check import check_split_files
from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.utils.files import sha256


def rows_of(folder):
    with (folder / "metadata.csv").open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def files_of(folder):
    return {p.relative_to(folder): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(sample_set, tmp_path_factory):
    out = tmp_path_factory.mktemp("augmented") / "set"
    return augment(sample_set, out, copies=2, tier="heavy", seed=3)


def test_originals_are_kept_and_copies_follow_their_source(made, sample_set):
    originals = {s.id: s for s in read_folder(sample_set)}
    samples = {s.id: s for s in read_folder(made.folder)}
    trained = default_split(list(originals.values())).part("train")
    names = {f"{i}_aug{n}": i for i, n in itertools.product(trained, (1, 2))}
    assert set(samples) == set(originals) | set(names)
    assert (made.originals, made.sources, made.copies) == (12, len(trained), 2 * len(trained))
    for i, sample in originals.items():
        assert sha256(samples[i].image) == sha256(sample.image)
        assert sha256(samples[i].annotation) == sha256(sample.annotation)
        assert not samples[i].image.samefile(sample.image)
    rows, earlier = rows_of(made.folder), rows_of(sample_set)
    for name, source in names.items():
        copy, original = samples[name], originals[source]
        assert copy.source_id == source
        assert (copy.material, copy.content) == (original.material, original.content)
        assert rows[name]["image_path"] == f"images/{name}.png"
        assert rows[name]["width"] == earlier[source]["width"]
        image, mask = read_image(copy.image), read_mask(copy.annotation)
        assert image.shape == read_image(original.image).shape
        assert not np.array_equal(image, read_image(original.image))
        values = set(np.unique(read_mask(original.annotation)))
        assert set(np.unique(mask)) <= values | {255}


def test_copies_keep_the_own_classes(own_set, tmp_path):
    made = augment(own_set, tmp_path / "set", copies=1, tier="light")
    samples = read_folder(made.folder)
    assert samples[0].classes == read_folder(own_set)[0].classes
    for sample in samples:
        read_mask(sample.annotation, classes=sample.classes)


def test_no_split_lets_a_copy_out_of_training(made, sample_set, tmp_path):
    samples = read_folder(made.folder)
    splits = [default_split(samples), load_split(made.split_file)]
    paths = make_split_files(made.folder, tmp_path / "splits", folds=3, overwrite=True)
    splits += [load_split(path) for path in paths]
    source = {s.id: s.source_id for s in samples}
    for split in splits:
        check_split(split, samples, split.name)
        for part in ("val", "test"):
            assert all(source[i] == i for i in split.part(part))
        scored = {*split.part("val"), *split.part("test")}
        assert not scored & {source[i] for i in split.part("train")}
    # The default split puts each original where it was.
    for part, ids in default_split(read_folder(sample_set)).parts.items():
        assert set(ids) == {i for i in splits[0].part(part) if source[i] == i}
    assert splits[0].parts == splits[1].parts


def test_the_manifest_that_is_written_is_sound(made):
    tables = check_split_files(made.folder, made.split_file.parent)
    assert list(tables) == [made.split_file]


def test_a_manifest_of_the_originals_carries_over(sample_set, tmp_path):
    [path] = make_split_files(sample_set, tmp_path / "splits", ["kfold"], folds=3)[:1]
    made = augment(sample_set, tmp_path / "out", 1, "light", split_file=str(path))
    before, after = load_split(path), load_split(made.split_file)
    assert made.split_file.name == path.name
    assert after.part("val") == before.part("val")
    assert after.part("test") == before.part("test")
    copies = {f"{i}_aug1" for i in before.part("train")}
    assert set(after.part("train")) == set(before.part("train")) | copies
    assert after.details["made_from"]["sha256"] == before.digest()
    samples = read_folder(made.folder)
    check_split(before, samples, path)  # still fits, and trains on no copy
    check_split_files(made.folder)


def test_copies_of_all_parts_are_for_later_splits(sample_set, tmp_path):
    made = augment(sample_set, tmp_path / "out", 1, "light", all_parts=True)
    assert made.copies == 12
    split = load_split(made.split_file)
    assert not any(i.endswith("_aug1") for part in ("val", "test") for i in split.part(part))
    check_split_files(made.folder)
    make_split_files(made.folder, tmp_path / "splits", ["leave-one-content-out"])


def test_the_same_call_completes_a_stopped_run(sample_set, made, tmp_path, monkeypatch):
    """Stopped after every number of files in turn, it ends with the same files."""
    expected = files_of(made.folder)
    out = tmp_path / "set"
    arguments = {"copies": 2, "tier": "heavy", "seed": 3}
    written = []
    write = module.write_image

    def failing(path, image):
        if len(written) == 5:
            written.clear()
            raise OSError("No space left on device")
        written.append(path)
        write(path, image)

    monkeypatch.setattr(module, "write_image", failing)
    stops = 0
    while True:
        try:
            augment(sample_set, out, **arguments)
            break
        except InputError as error:
            stops += 1
            assert "the same command goes on" in str(error)
            with pytest.raises(InputError, match="not consistent"):
                read_folder(out)  # nobody trains on half of it
    assert stops >= 3
    assert files_of(out) == expected
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    augment(sample_set, out, **arguments)
    assert times == {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}


def test_the_callers_random_numbers_are_left_alone(sample_set, tmp_path):
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    augment(sample_set, tmp_path / "out", 1)
    assert np.random.rand() == expected


def test_another_seed_makes_other_copies(sample_set, made, tmp_path):
    other = augment(sample_set, tmp_path / "out", 2, "heavy", seed=4)
    one, two = files_of(made.folder), files_of(other.folder)
    copies = [path for path in one if "_aug" in path.name and path.parts[0] == "images"]
    assert all(one[path] != two[path] for path in copies)


def test_copies_of_a_set_with_copies_are_made_of_originals_only(made, tmp_path):
    with pytest.raises(InputError, match="cannot be named") as caught:
        augment(made.folder, tmp_path / "out", 1)
    assert len(caught.value.problems) == made.sources
    assert not (tmp_path / "out").exists()


def test_a_set_without_metadata_gets_one(copied_sample_set, tmp_path):
    (copied_sample_set / "metadata.csv").unlink()
    made = augment(copied_sample_set, tmp_path / "out", 1)
    assert {r["source_id"] for r in rows_of(made.folder).values() if "_aug" in r["id"]}
    assert all(s.is_derived == ("_aug" in s.id) for s in read_folder(made.folder))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"seed": 4}, "seed: 3 there, 4 now"), ({"tier": "light"}, "tier: 'heavy' there"),
        ({"copies": 1}, "copies: 2 there, 1 now"),
    ],
)  # fmt: skip
def test_copies_made_in_another_way_are_not_mixed(made, sample_set, options, expected):
    before = files_of(made.folder)
    with pytest.raises(InputError, match="name another folder") as caught:
        augment(sample_set, made.folder, **{"copies": 2, "tier": "heavy", "seed": 3, **options})
    assert any(expected in problem for problem in caught.value.problems)
    assert files_of(made.folder) == before


def test_other_files_are_not_touched(copied_sample_set, sample_set, tmp_path):
    before = files_of(copied_sample_set)
    for out in (copied_sample_set, copied_sample_set / "images"):
        with pytest.raises(InputError, match="name an empty folder"):
            augment(sample_set, out)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / RECORD).write_text(json.dumps([1]))
    with pytest.raises(InputError, match="in another way"):
        augment(sample_set, tmp_path / "odd")
    assert files_of(copied_sample_set) == before


def test_a_changed_data_set_is_not_mixed_in(copied_sample_set, tmp_path):
    augment(copied_sample_set, tmp_path / "out", 1)
    for folder in ("images", "annotations"):
        path = copied_sample_set / folder / "sample_0001.png"
        shutil.copy(path, path.with_name("sample_9999.png"))
    (copied_sample_set / "metadata.csv").unlink()
    with pytest.raises(InputError, match="of another data set"):
        augment(copied_sample_set, tmp_path / "out", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": 0}, "copies must be a positive integer"), ({"copies": True}, "copies must be"),
        ({"tier": "none"}, "changes nothing"), ({"tier": "strong"}, "one of none, light"),
        ({"split_file": "nowhere.json"}, "expected a split manifest"),
    ],
)  # fmt: skip
def test_bad_options_write_nothing(sample_set, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        augment(sample_set, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())
