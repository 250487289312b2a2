"""Other data sets become folders that training reads, or one message says what is wrong."""

import errno
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.checks.folder_check import check_folder
from mmseg_heritage.dataprep.importing import name_rules
from mmseg_heritage.dataprep.importing.import_folder import import_data
from mmseg_heritage.dataprep.importing.label_mapping import SCHEMA
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.dataprep.splits.split import default_split
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask

IDS = ["a", "b", "c_tile1", "c_tile2"]


class Foreign:
    """A data set of four photographs, of which a mask is 0, 1 and 2, and a mapping of it."""

    def __init__(self, root):
        self.root = root
        self.images, self.masks, self.out = root / "photos", root / "labels", root / "out"
        self.images.mkdir()
        self.masks.mkdir()
        self.content = {"schema": SCHEMA, "name": "Mine",
                        "values": {"0": "Clean", "1": "Cracks", "2": "ignore"}}  # fmt: skip
        generator = np.random.default_rng(0)
        self.values = {}
        for number, i in enumerate(IDS):
            pixels = generator.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.images / f"{i}.{('png', 'jpg')[number % 2]}")
            self.values[i] = generator.integers(0, 3, (20, 30), dtype=np.uint8)
            self.save(i, self.values[i])

    def save(self, i, values):
        Image.fromarray(values).save(self.masks / f"{i}.png")

    def run(self, **options):
        path = self.root / "mapping.json"
        path.write_text(json.dumps(self.content))
        return import_data(path, self.images, self.masks, self.out, **options)

    def refused(self, **options):
        """Returns the error; nothing may have been written."""
        before = sorted(self.root.iterdir())
        with pytest.raises(InputError) as caught:
            self.run(**options)
        assert set(self.root.iterdir()) - set(before) <= {self.root / "mapping.json"}
        return caught.value


@pytest.fixture
def foreign(tmp_path):
    return Foreign(tmp_path)


def test_it_becomes_a_folder_that_the_other_tools_read(foreign):
    result = foreign.run()
    assert result.num_samples == 4
    samples = read_folder(foreign.out)
    assert [sample.id for sample in samples] == IDS
    for sample in samples:
        assert sample.image.read_bytes() == (foreign.images / sample.image.name).read_bytes()
        assert np.array_equal(
            read_mask(sample.annotation), np.array([0, 9, 255])[foreign.values[sample.id]]
        )
    report = check_folder(foreign.out, max_distance=None)
    assert not report.faults
    for number, value in enumerate((0, 1, 2)):
        masks = list(foreign.values.values())
        assert result.pixels[number] == sum(np.count_nonzero(mask == value) for mask in masks)
    assert result.masks.tolist() == [4, 4, 4]


def test_the_record_names_mapping_and_hashes(foreign):
    foreign.run()
    record = json.loads((foreign.out / "import.json").read_text())

    def digest(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert record["schema"] == "mmseg_heritage/import/1"
    assert record["mapping"]["content"] == foreign.content
    assert record["mapping"]["sha256"] == digest(foreign.root / "mapping.json")
    assert record["metadata_sha256"] == digest(foreign.out / "metadata.csv")
    assert record["num_samples"] == len(record["files"]) == 4
    for file in record["files"]:
        assert file["size"] == [30, 20]
        image, annotation = file["image"], file["annotation"]
        assert digest(foreign.out / image["file"]) == image["sha256"]
        assert digest(foreign.images / image["source"]) == image["sha256"]
        assert digest(foreign.out / annotation["file"]) == annotation["sha256"]
        assert digest(foreign.masks / annotation["source"]) == annotation["source_sha256"]
    assert [v["value"] for v in record["values"]] == ["0", "1", "2"]
    assert str(foreign.root) not in json.dumps(record)


def test_own_classes_of_the_mapping_go_with_the_folder(foreign):
    foreign.content["classes"] = ["Sound", {"name": "Rotten", "id": 40, "color": "#102030"}]
    foreign.content["values"] = {"0": "Sound", "1": "Rotten", "2": "ignore"}
    foreign.run()
    report = check_folder(foreign.out, max_distance=None)
    assert not report.faults
    assert report.classes.names == ("Sound", "Rotten")
    assert report.classes.colors[1] == (16, 32, 48)
    for sample in report.samples:
        assert sample.classes == report.classes
        expected = np.array([0, 40, 255])[foreign.values[sample.id]]
        assert np.array_equal(read_mask(sample.annotation, classes=sample.classes), expected)


def test_any_number_of_threads_writes_the_same(foreign):
    for workers in (1, 4):
        foreign.out = foreign.root / f"out{workers}"
        foreign.run(workers=workers)
    files = [
        sorted(p for p in (foreign.root / f"out{w}").rglob("*") if p.is_file()) for w in (1, 4)
    ]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]
    with pytest.raises(InputError, match="workers: expected at least 1"):
        foreign.run(workers=0)


class TestNames:
    """How masks are found, and what belongs together."""

    def test_masks_with_a_suffix_in_the_same_folder(self, foreign):
        for path in foreign.masks.iterdir():
            path.rename(foreign.images / f"{path.stem}_mask.png")
        foreign.masks = foreign.images
        foreign.content["masks"] = {"suffix": "_mask"}
        foreign.run()
        assert [sample.id for sample in read_folder(foreign.out)] == IDS

    def test_masks_with_an_ending_in_the_same_folder(self, foreign):
        for path in foreign.masks.iterdir():
            Image.open(path).save(foreign.images / f"{path.stem}.BMP")
        foreign.masks = foreign.images
        assert "in one folder, masks need" in str(foreign.refused())
        foreign.content["masks"] = {"extension": ".bmp"}
        foreign.run()
        assert [sample.id for sample in read_folder(foreign.out)] == IDS

    def test_tiles_are_one_source(self, foreign):
        Image.new("RGB", (30, 20)).save(foreign.images / "c.png")
        foreign.save("c", foreign.values["a"])
        foreign.content["source_id"] = r"^(.*)_tile\d+$"
        assert foreign.run().num_orphans == 0
        sources = {sample.id: sample.source_id for sample in read_folder(foreign.out)}
        assert sources == {"a": "a", "b": "b", "c": "c", "c_tile1": "c", "c_tile2": "c"}

    def test_tiles_whose_photograph_is_not_here_can_be_scored_as_a_group(self, foreign):
        foreign.content["source_id"] = r"(.*)_tile\d+"
        assert foreign.run().num_orphans == 2
        del foreign.content["source_id"]
        foreign.content["group_id"] = r"(.*)_tile\d+"
        foreign.out = foreign.root / "grouped"
        assert foreign.run().num_orphans == 0
        samples = read_folder(foreign.out)
        assert [(s.group_id, s.is_derived) for s in samples] == [
            ("", False),
            ("", False),
            ("c", False),
            ("c", False),
        ]
        parts = default_split(samples).parts.values()
        assert any({"c_tile1", "c_tile2"} <= set(part) for part in parts)

    def test_a_rule_that_takes_for_ever_is_refused(self, foreign, monkeypatch):
        monkeypatch.setattr(name_rules, "_LIMIT", 1.0)
        foreign.save("c" * 60, foreign.values["a"])
        shutil.copy(foreign.images / "a.png", foreign.images / f"{'c' * 60}.png")
        foreign.content["source_id"] = "((?:c|cc)+)!"
        assert "takes more than 1 s for 5 names" in str(foreign.refused())

    @pytest.mark.parametrize("rule", ["(.*)_crop", "(.*)_tile", "x(.*)"])
    def test_a_rule_that_never_applies_is_refused(self, rule, foreign):
        foreign.content["source_id"] = rule
        assert "matches none of 4 ids: a, ..." in str(foreign.refused())

    def test_a_rule_that_finds_nothing_is_refused(self, foreign):
        foreign.content["group_id"] = "(x*)a"
        assert "the group is empty for 'a'" in str(foreign.refused())

    def test_unsafe_and_repeated_names_are_refused_together(self, foreign):
        shutil.copy(foreign.images / "a.png", foreign.images / "two?words.png")
        shutil.copy(foreign.images / "a.png", foreign.images / "A.png")
        shutil.copy(foreign.images / "b.jpg", foreign.images / "b.jpeg")
        error = foreign.refused(skip_faulty=True)
        assert len(error.problems) == 3
        assert "two?words.png: the id 'two?words' cannot name a file" in str(error)
        assert "the id 'a' is also that of" in str(error)
        assert "b.jpg: the id 'b' is also that of b.jpeg" in str(error)


class TestMetadata:
    """Constants, and columns of a table."""

    def test_constants_and_columns(self, foreign):
        foreign.content["metadata"] = {
            "constants": {"material": "Paper"},
            "id_column": "file",
            "columns": {"content": "kind", "group_id": "sheet"},
        }
        table = foreign.root / "table.csv"
        rows = ["a.png,Line art,1", "b,,2", "c_tile1,x,3", "c_tile2.jpg,x,3", "absent,x,4"]
        table.write_text("\n".join(["\ufefffile,kind,sheet", *rows]), encoding="utf-8")
        foreign.run(table=table)
        samples = {sample.id: sample for sample in read_folder(foreign.out)}
        assert {s.material for s in samples.values()} == {"Paper"}
        assert [samples[i].content for i in IDS] == ["Line art", "", "x", "x"]
        assert [samples[i].group_id for i in IDS] == ["1", "2", "3", "3"]
        record = json.loads((foreign.out / "import.json").read_text())
        assert record["table"]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name,kind\na,x\n", "expected a column 'file', found ['name', 'kind']"),
            ("file,sort\na,x\n", "no column 'kind'; it has file, sort"),
            ("file,kind\na,x\nb,x\nc_tile1,x\n", "no row for the image 'c_tile2'"),
            ("file,kind\na,x\na.png,x\n", "a second row for 'a'"),
            ("file,kind\na,x\na,x\n", "a second row for 'a'"),
        ],
    )
    def test_a_table_that_does_not_fit(self, text, message, foreign):
        foreign.content["metadata"] = {"id_column": "file", "columns": {"content": "kind"}}
        table = foreign.root / "table.csv"
        table.write_text(text)
        assert message in str(foreign.refused(table=table))

    def test_a_table_without_columns_and_columns_without_a_table(self, foreign):
        assert "no such file" in str(foreign.refused(table=foreign.root / "no.csv"))
        assert "names no columns of a table" in str(foreign.refused(table=foreign.root / "no.csv"))
        foreign.content["metadata"] = {"id_column": "file", "columns": {"content": "kind"}}
        assert "give its file with --table" in str(foreign.refused())


class TestFaults:
    """Nothing is written where anything is wrong."""

    def test_all_values_without_a_meaning_are_in_one_message(self, foreign):
        del foreign.content["values"]["2"]
        foreign.values["b"][0, :5] = 77
        foreign.save("b", foreign.values["b"])
        error = foreign.refused(skip_faulty=True)
        assert "2 mask values not in the mapping, which names 0, 1" in error.summary
        twos = sum(np.count_nonzero(mask == 2) for mask in foreign.values.values())
        assert error.problems == [
            f"2: {twos:,} pixels in 4 masks, first in that of 'a'",
            "77: 5 pixels in 1 masks, first in that of 'b'",
        ]

    def test_colors_without_a_meaning_are_written_as_in_a_mapping(self, foreign):
        foreign.content["values"] = {"#000000": "Clean", "#010101": "Cracks"}
        assert foreign.refused().problems[0].startswith("#020202: ")

    def test_every_faulty_file_is_listed_or_left_out(self, foreign):
        (foreign.masks / "a.png").unlink()
        broken = foreign.images / "b.jpg"
        broken.write_bytes(broken.read_bytes()[:-300])
        foreign.save("c_tile1", np.zeros((30, 20), np.uint8))
        foreign.save("d", foreign.values["a"])
        unpaired = foreign.refused()
        assert [p.split(": ")[1] for p in unpaired.problems] == [
            f"no mask 'a' in {foreign.masks}",
            f"no image 'd' in {foreign.images}",
        ]
        result = foreign.run(skip_faulty=True)
        assert sorted(result.left_out) == ["a", "b", "c_tile1", "d"]
        problems = "\n".join(line for lines in result.left_out.values() for line in lines)
        assert "b.jpg: the image is truncated" in problems
        assert "c_tile1.png: expected the size of its image, 30x20, found 20x30" in problems
        assert [sample.id for sample in read_folder(foreign.out)] == ["c_tile2"]
        record = json.loads((foreign.out / "import.json").read_text())
        assert record["left_out"] == result.left_out
        assert len(list((foreign.out / "images").iterdir())) == 1

    def test_files_that_cannot_be_decoded_are_listed_together(self, foreign):
        (foreign.images / "b.jpg").write_bytes(b"no image")
        (foreign.masks / "b.png").write_bytes(b"no image")
        (foreign.images / "a.png").unlink()
        (foreign.images / "a.png").symlink_to("nowhere.png")
        error = foreign.refused()
        assert "2 images or masks cannot be used" in error.summary
        assert len(error.problems) == 3
        assert "a.png: cannot be read" in str(error)

    def test_nothing_left(self, foreign):
        for path in foreign.images.iterdir():
            path.write_bytes(b"")
        assert "no image is left to import" in str(foreign.refused(skip_faulty=True))

    def test_folders_that_are_missing_or_empty(self, foreign):
        shutil.rmtree(foreign.masks)
        assert "labels: no such folder" in str(foreign.refused())
        foreign.masks.mkdir()
        assert "4 images; " in str(foreign.refused())
        assert "0 masks named <id> with the ending .png or" in str(foreign.refused())

    def test_the_endings_that_are_there_are_named(self, foreign):
        pytest.importorskip("scipy")
        foreign.content["masks"] = {"mat_variable": "groundTruth.Segmentation"}
        error = str(foreign.refused())
        assert "0 masks named <id> with the ending .mat" in error
        assert f"{foreign.masks}: found the endings 4 .png" in error
        assert "crackforest_png" in error
        foreign.content["masks"] = {"extension": ".bmp"}
        error = str(foreign.refused())
        assert f"{foreign.masks}: found the endings 4 .png" in error
        assert "crackforest" not in error

    @pytest.mark.parametrize("name", ["notes.txt", ".hidden"])
    def test_a_folder_that_holds_anything_is_left_alone(self, name, foreign):
        foreign.out.mkdir()
        (foreign.out / name).write_text("mine")
        assert "the folder holds other files" in str(foreign.refused())
        assert [path.name for path in foreign.out.iterdir()] == [name]

    def test_an_empty_folder_and_missing_parents_do(self, foreign):
        foreign.out.mkdir()
        foreign.run()
        assert len(read_folder(foreign.out)) == 4
        assert "holds other files, such as annotations" in str(foreign.refused())
        foreign.out = foreign.root / "new" / "deeper"
        foreign.run()

    def test_a_full_disk_leaves_nothing(self, foreign, monkeypatch):
        def full(path, content):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        monkeypatch.setattr("pathlib.Path.write_bytes", full)
        assert "cannot be read or written (No space left" in str(foreign.refused())

    def test_an_interruption_leaves_nothing(self, foreign, monkeypatch):
        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(
            "mmseg_heritage.dataprep.importing.import_folder.encode_png", interrupted
        )
        with pytest.raises(KeyboardInterrupt):
            foreign.run()
        assert not [p for p in foreign.root.iterdir() if "out" in p.name]


def test_crackforest_as_converted(shared_data, tmp_path):
    source = shared_data / "crackforest"
    result = import_data(
        "crackforest_png", source / "images", source / "annotations", tmp_path / "cracks"
    )
    samples = read_folder(tmp_path / "cracks")
    assert len(samples) == result.num_samples == len(list((source / "images").iterdir()))
    for sample in samples[::10]:
        wanted = np.array(Image.open(source / "annotations" / f"{sample.id}.png"))
        assert np.array_equal(read_mask(sample.annotation), wanted)
        assert sample.material == "Pavement"
    with pytest.raises(InputError, match="1 mask value not in the mapping") as caught:
        import_data("cracks_255", source / "images", source / "annotations", tmp_path / "other")
    assert caught.value.problems[0].startswith(f"9: {result.pixels[1]:,} pixels in 70 masks")


def test_crackforest_as_published(shared_data, tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    source = shared_data / "crackforest"
    for folder in ("image", "groundTruth"):
        (tmp_path / folder).mkdir()
    for image in sorted((source / "images").iterdir())[:5]:
        shutil.copy(image, tmp_path / "image")
        cracks = np.array(Image.open(source / "annotations" / f"{image.stem}.png")) == 9
        truth = {"Segmentation": (1 + cracks).astype(np.uint16), "Boundaries": cracks}
        savemat(tmp_path / "groundTruth" / f"{image.stem}.mat", {"groundTruth": truth})
    out = tmp_path / "cracks"
    result = import_data("crackforest", tmp_path / "image", tmp_path / "groundTruth", out)
    assert result.num_samples == 5
    assert result.pixels[2:].tolist() == [0, 0]
    for sample in read_folder(out):
        wanted = np.array(Image.open(source / "annotations" / f"{sample.id}.png"))
        assert np.array_equal(read_mask(sample.annotation), wanted)


def test_names_with_spaces_and_accents(foreign):
    for old, new in zip(IDS, ("Gem\u00e4lde 1 (a)", "b [1]", "\u58c1\u753b", "e=f"), strict=True):
        for folder in (foreign.images, foreign.masks):
            for path in folder.glob(f"{old}.*"):
                path.rename(path.with_name(new + path.suffix))
    imported = foreign.run()
    assert imported.num_samples == 4
    assert {s.id for s in read_folder(foreign.out)} == {
        "Gem\u00e4lde 1 (a)", "b [1]", "\u58c1\u753b", "e=f"}  # fmt: skip
