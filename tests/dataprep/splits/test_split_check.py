"""The check of manifests finds every way in which a split can be unsound."""

import json
import re

import pytest

from mmseg_heritage.dataprep.layout import Sample, read_folder
from mmseg_heritage.dataprep.splits.split import Split, load_split
from mmseg_heritage.dataprep.splits.split_check import (
    check_split_files,
    family_problems,
    split_problems,
)
from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask


@pytest.fixture
def manifests(sample_set, tmp_path):
    """Folder of a hold-out split and three folds of the sample set."""
    make_split_files(sample_set, tmp_path / "splits", ("holdout", "kfold"), folds=3)
    return tmp_path / "splits"


def _edit(path, change, keep_hash=False):
    content = json.loads(path.read_text())
    change(content)
    if not keep_hash:
        del content["sha256"]
    path.write_text(json.dumps(content))


def _problems(root, folder):
    with pytest.raises(InputError, match="the splits are not sound") as caught:
        check_split_files(root, folder)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def test_the_table_has_the_support_of_every_part(sample_set, manifests):
    table = check_split_files(sample_set, manifests)[manifests / "holdout.json"]
    rows = {
        cells[0]: cells[1:]
        for cells in (re.split(r"\s{2,}", line) for line in table.splitlines()[2:])
    }
    split = load_split(manifests / "holdout.json")
    samples = {s.id: s for s in read_folder(sample_set)}
    for column, part in enumerate(("train", "val", "test")):
        masks = [read_mask(samples[i].annotation) for i in split.part(part)]
        for name, value in (("Clean", 0), ("Material loss", 1), ("outside the object", 255)):
            assert int(rows[name][column]) == sum(int((m == value).any()) for m in masks)
            pixels = sum(int((m == value).sum()) for m in masks)
            assert int(rows[name][3 + column].replace(",", "")) == pixels
        papers = sum(samples[i].material == "Paper" for i in split.part(part))
        assert int(rows["Paper"][column]) == papers
        assert int(rows["all"][column]) == len(masks)
    domains = {s.material for s in samples.values()} | {s.content for s in samples.values()}
    assert len(rows) == 17 + len(domains) + 1


def test_faults_of_several_manifests_are_gathered(sample_set, manifests):
    first = json.loads((manifests / "holdout.json").read_text())["parts"]["train"][0]
    _edit(manifests / "holdout.json", lambda c: c["parts"]["train"].remove(first))
    tested = json.loads((manifests / "kfold-3" / "fold-1.json").read_text())["parts"]["test"][0]

    def move(content):
        content["parts"]["test"].remove(tested)
        content["parts"]["train"].append(tested)

    _edit(manifests / "kfold-3" / "fold-1.json", move)
    (manifests / "kfold-3" / "fold-2.json").write_text("{")
    problems = _problems(sample_set, manifests)
    assert problems[0] == f"holdout.json: '{first}' is in no part, and left_out does not list it"
    assert problems[1].startswith("kfold-3/fold-2.json: expected a split manifest in JSON")
    assert problems[2] == "kfold-3: found 2 of the 3 folds of kfold"
    assert f"kfold-3: '{tested}' is tested 0 times in kfold" in problems


def test_an_edited_manifest_is_refused_by_its_hash(sample_set, manifests):
    def swap(content):
        parts = content["parts"]
        parts["train"][0], parts["test"][0] = parts["test"][0], parts["train"][0]

    _edit(manifests / "holdout.json", swap, keep_hash=True)
    (problem,) = _problems(sample_set, manifests)
    assert re.search(r"holdout\.json: the parts are not those that its sha256 was made", problem)


def test_a_manifest_naming_a_sample_that_is_gone(copied_sample_set, manifests):
    gone = load_split(manifests / "holdout.json").part("val")[0]
    for path in copied_sample_set.glob(f"*/{gone}.*"):
        path.unlink()
    table = copied_sample_set / "metadata.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith(f"{gone},")))
    problems = _problems(copied_sample_set, manifests)
    assert f"holdout.json: part 'val' names '{gone}', which the data set lacks" in problems
    assert len(problems) == 4  # once in each manifest


def test_no_manifests_say_how_to_make_some(sample_set, tmp_path):
    with pytest.raises(InputError, match=r"no split manifests here; make them with make_splits"):
        check_split_files(sample_set, tmp_path / "nowhere")


def _sample(name, source=None, material="", group=""):
    return Sample(name, None, None, source or name, material, group_id=group)


SAMPLES = [
    _sample("a", material="Wood"),
    _sample("a_flip", "a"),
    _sample("b", material="Glass"),
    _sample("c", material="Glass"),
    _sample("d", material="Glass", group="g"),
    _sample("d_wood", "absent", "Wood", group="g"),
    _sample("tile", "elsewhere"),
]


def _held_out(train, val=("c",), test=("a",), left_out=()):
    details = {"held_out": {"material": "Wood"}, "left_out": list(left_out)}
    return Split("s", {"train": tuple(train), "val": tuple(val), "test": tuple(test)}, details)


@pytest.mark.parametrize(
    ("split", "problems"),
    [
        (_held_out("b", left_out=["d", "d_wood", "tile"]), []),
        (_held_out("b", left_out=["a_flip", "d", "d_wood", "tile"]), []),
        (
            _held_out("b", left_out=["b", "d", "d_wood"]),
            [
                "'b' is in left_out and in 'train'",
                "'tile' is in no part, and left_out does not list it",
            ],
        ),
        (
            _held_out("b", left_out=["d_wood", "tile"]),
            ["'d' is in no part, and left_out does not list it"],
        ),
        (
            _held_out(["b", "d"], left_out=["d_wood", "tile"]),
            ["'d' in 'train' belongs to what is held out"],
        ),
        (
            _held_out([], left_out=["b", "d", "d_wood", "tile"]),
            ["'b' is an original and left out without need"],
        ),
        (
            _held_out([], test="ab", left_out=["d", "d_wood", "tile"]),
            ["'b' in 'test' is not of what is held out"],
        ),
        (
            _held_out("a", test=(), left_out=["b", "a_flip", "d", "d_wood", "tile"]),
            ["'a' in 'train' belongs to what is held out",
             "'b' is an original and left out without need"],
        ),
    ],
)  # fmt: skip
def test_what_is_held_out_is_tested_alone(split, problems):
    assert split_problems(split, SAMPLES) == problems


def test_families_are_told_apart_by_kind_and_number():
    def fold(kind, folds, *tested):
        return Split("s", {"test": tested}, {"kind": kind, "folds": folds})

    samples = [_sample(name) for name in "abc"]
    sound = [fold("x", 2, "a", "b"), fold("x", 2, "c"), fold("y", 1, "a", "b", "c")]
    assert family_problems([*sound, Split("own", {"test": ("a",)})], samples) == []
    assert family_problems([*sound[1:], fold("x", 2, "a", "c")], samples) == [
        "'b' is tested 0 times in x",
        "'c' is tested 2 times in x",
    ]
    assert family_problems(sound[:1], samples) == [
        "found 1 of the 2 folds of x",
        "'c' is tested 0 times in x",
    ]
