"""From Parquet files to a folder: complete, the same after any interruption, never half."""

import csv
import errno
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.hub.journal import JOURNAL, MANIFEST
from mmseg_heritage.dataprep.hub.prepare_folder import prepare
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image

pytest.importorskip("pyarrow")

COMMIT = "a" * 40
# Runs the command, and kills it by SIGKILL when it touches its folder for the n-th time.
KILLED = """
import os, signal, sys
out, left = sys.argv[1], int(sys.argv[2])
def hook(event, arguments):
    global left
    touches = event in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod")
    if touches and any(isinstance(a, (str, os.PathLike)) and out in str(a) for a in arguments):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from mmseg_heritage.cli import main
code = main(["prepare-artefact", *sys.argv[3:], "--out", out])
print("left:", left)
sys.exit(code)
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Path below the folder -> content, of all files."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def run_and_kill(source: Path, out: Path, step: int) -> int | None:
    """Runs the command until it touches its folder for the n-th time.

    Returns None if it was killed then, or else how many steps it did not need.
    """
    command = [sys.executable, "-c", KILLED, str(out), str(step), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rpartition("left:")[2])


@pytest.fixture
def prepared(hub_folder, tmp_path):
    """Folder that an unbroken run makes. Its source is ``hub_folder``."""
    prepare([hub_folder], tmp_path / "whole")
    return tmp_path / "whole"


class TestFolder:
    """What is in the folder."""

    def test_every_row_is_there_pixel_by_pixel(self, prepared, row, expected_mask):
        samples = read_folder(prepared)
        assert [sample.id for sample in samples] == [f"clj{number:04d}" for number in range(7)]
        for number, sample in enumerate(samples):
            content = row(number)["image"]["bytes"]
            assert sample.image.read_bytes() == content
            assert read_image(sample.image).shape == (30, 40, 3)
            assert np.array_equal(read_mask(sample.annotation, (40, 30)), expected_mask(number))
            assert Image.open(sample.annotation).mode == "L"
            assert (sample.material, sample.content) == (
                row(number)["material"],
                row(number)["content"],
            )
        with (prepared / "metadata.csv").open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        texts = [
            {name: value for name, value in row(number).items() if isinstance(value, str)}
            for number in range(7)
        ]
        assert found == texts

    def test_the_manifest_tells_every_file_and_where_it_came_from(self, prepared, hub_folder):
        content = json.loads((prepared / MANIFEST).read_text())
        assert content["revision"] is None
        assert content["num_samples"] == 7
        files = contents(prepared)
        assert set(files) == {MANIFEST, "metadata.csv", *(f["file"] for f in content["files"])}
        for file in content["files"]:
            assert file["bytes"] == len(files[file["file"]])
            assert file["sha256"] == hashlib.sha256(files[file["file"]]).hexdigest()
            assert file["size"] == file["stored_size"] == [40, 30]
        assert content["metadata_sha256"] == hashlib.sha256(files["metadata.csv"]).hexdigest()
        assert content["shards"] == [
            {
                "file": path.name,
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in sorted(hub_folder.iterdir())
        ]
        stored = {f["stored"] for f in content["files"] if f["column"] == "annotation"}
        assert {"TIFF I", "PNG P", "PNG L"} < stored

    def test_max_side_makes_all_smaller_and_says_what_was_lost(self, hub_folder, tmp_path):
        result = prepare([hub_folder], tmp_path / "small", max_side=20)
        for sample in read_folder(tmp_path / "small"):
            assert read_image(sample.image).shape == (15, 20, 3)
            read_mask(sample.annotation, (20, 15))
        assert len(result.losses) == 16
        assert {loss.images for loss in result.losses} == {7}
        masks = [read_mask(s.annotation) for s in read_folder(tmp_path / "small")]
        for class_id, loss in enumerate(result.losses):
            assert loss.kept == sum(np.count_nonzero(mask == class_id) for mask in masks)
            assert loss.lost_in == sum(not (mask == class_id).any() for mask in masks)
        again = prepare([hub_folder], tmp_path / "small", max_side=20)
        assert again.losses == result.losses
        assert again.num_written == 0


class TestAgain:
    """Later calls for the same folder."""

    def test_nothing_is_touched_when_all_is_done(self, prepared, hub_folder):
        before = times(prepared)
        result = prepare(sorted(hub_folder.iterdir())[::-1], prepared)
        assert (result.num_samples, result.num_written, result.num_kept) == (7, 0, 14)
        assert result.num_bytes == sum(
            len(content) for name, content in contents(prepared).items() if "/" in name
        )
        assert times(prepared) == before

    def test_what_is_gone_is_made_again(self, prepared, hub_folder):
        before = contents(prepared)
        (prepared / "metadata.csv").unlink()
        assert prepare([hub_folder], prepared).num_written == 0
        assert contents(prepared) == before
        (prepared / "images" / "clj0003.png").unlink()
        shutil.rmtree(prepared / "annotations")
        assert prepare([hub_folder], prepared).num_written == 8
        assert contents(prepared) == before

    def test_what_the_user_added_is_kept(self, prepared, hub_folder):
        path = prepared / "metadata.csv"
        path.write_text(path.read_text().replace("id,", "id,group_id,", 1))
        (prepared / "splits").mkdir()
        (prepared / "splits" / "mine.json").write_text("{}")
        (prepared / "images" / "other.png").write_bytes(b"mine")
        before = contents(prepared)
        for _ in range(2):
            (prepared / "images" / "clj0000.png").unlink()
            prepare([hub_folder], prepared)
            assert contents(prepared) == before

    def test_another_origin_or_a_changed_file_is_refused(self, prepared, hub_folder):
        before = contents(prepared)
        with pytest.raises(InputError, match="max_side: None before, 20 now"):
            prepare([hub_folder], prepared, max_side=20)
        with pytest.raises(InputError, match="2 before, 1 now, 1 the same"):
            prepare([min(hub_folder.iterdir())], prepared)
        assert contents(prepared) == before
        (prepared / "images" / "clj0000.png").write_bytes(b"retouched")
        with pytest.raises(InputError, match=r"clj0000\.png: changed since it was prepared"):
            prepare([hub_folder], prepared)


class TestInterrupted:
    """Kills and full disks."""

    @pytest.mark.parametrize(
        "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
    )
    def test_a_killed_run_goes_on_to_the_same_folder(self, seed, prepared, hub_folder, tmp_path):
        rng = random.Random(seed)
        out = tmp_path / "out"
        kills = 0
        while kills < 8 and run_and_kill(hub_folder, out, rng.randrange(1, 70)) is None:
            kills += 1
        assert kills > 0
        assert prepare([hub_folder], out).num_samples == 7
        assert contents(out) == contents(prepared)

    @pytest.mark.slow
    def test_a_kill_at_each_of_the_last_steps(self, row, shards_of, tmp_path):
        folder = shards_of([row(0)], [row(1)])
        left = run_and_kill(folder, tmp_path / "whole", 10_000)
        steps = 10_000 - left
        for step in range(steps - 14, steps + 1):  # the last file, metadata and manifest
            out = tmp_path / f"out{step}"
            assert run_and_kill(folder, out, step) is None
            prepare([folder], out)
            assert contents(out) == contents(tmp_path / "whole")

    def test_a_full_disk_at_any_point_leaves_what_can_be_gone_on_from(
        self, prepared, hub_folder, tmp_path, monkeypatch
    ):
        whole = contents(prepared)
        replace, steps = Path.replace, 0

        def full(self, target):
            nonlocal steps
            steps -= 1
            if steps == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", full)
        for number in range(1, 30):
            out = tmp_path / f"out{number}"
            steps = number
            try:
                prepare([hub_folder], out)
                break
            except InputError as error:
                assert "No space left on device" in str(error)
                assert "of 14 files are done. Make room" in str(error)
            found = contents(out)
            assert MANIFEST not in found
            assert all(whole[name] == found[name] for name in found if name != JOURNAL)
            prepare([hub_folder], out)
            assert contents(out) == whole
        assert number == 18  # the journal, 14 files, metadata and manifest can be cut off

    def test_a_full_disk_cuts_a_line_of_the_journal(
        self, prepared, hub_folder, tmp_path, monkeypatch
    ):
        out = tmp_path / "out"
        calls = 0

        def full(file):
            nonlocal calls
            calls += 1
            if calls == 6:  # each file is followed by its line in the journal
                file.seek(file.tell() - 30)
                file.truncate()
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("mmseg_heritage.dataprep.hub.journal._sync", full)
        with pytest.raises(InputError, match="2 of 14 files are done"):
            prepare([hub_folder], out)
        assert not (out / JOURNAL).read_text().endswith("\n")
        monkeypatch.undo()
        prepare([hub_folder], out)
        assert contents(out) == contents(prepared)

    def test_a_folder_that_cannot_be_made_is_named(self, hub_folder, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(InputError, match="file: expected a folder"):
            prepare([hub_folder], tmp_path / "file" / "out")


class TestFaulty:
    """Sources that cannot be used, in whole or in part."""

    def faulty(self, row, shards_of):
        rows = [row(number) for number in range(6)]
        ids = np.full((30, 40), 254, np.uint8)
        rows[1]["annotation"]["bytes"] = png(ids)
        rows[2]["image"]["bytes"] = rows[2]["image"]["bytes"][:-40]
        rows[3]["annotation"]["bytes"] = png(np.zeros((40, 30), np.uint8))
        rows[4] |= {"image": None, "annotation": {"bytes": b"", "path": None}}
        return shards_of(rows[:3], rows[3:])

    def test_all_faults_are_listed_when_all_others_are_written(self, row, shards_of, tmp_path):
        folder, out = self.faulty(row, shards_of), tmp_path / "out"
        for _ in range(2):
            with pytest.raises(InputError, match="4 of 6 rows cannot be used") as caught:
                prepare([folder], out)
            problems = "\n".join(caught.value.problems)
            assert len(caught.value.problems) == 5
            assert "00000-of-00002.parquet, row 1 (clj0001), annotation: expected class" in problems
            assert "found 254" in problems
            assert "row 2 (clj0002), image: the image is truncated" in problems
            assert "expected the size of its image, 40x30, found 30x40" in problems
            assert "row 1 (clj0004), image: no bytes" in problems
            assert "row 1 (clj0004), annotation: no bytes" in problems
            assert {name for name in contents(out) if "/" in name} == {
                "images/clj0000.png",
                "images/clj0005.tif",
                "annotations/clj0000.png",
                "annotations/clj0005.png",
            }

    @pytest.mark.parametrize("failed_before", [False, True])
    def test_faulty_rows_are_left_out_where_asked(self, failed_before, row, shards_of, tmp_path):
        folder, out = self.faulty(row, shards_of), tmp_path / "out"
        if failed_before:
            with pytest.raises(InputError):
                prepare([folder], out)
        result = prepare([folder], out, skip_faulty=True)
        assert list(result.skipped) == ["clj0001", "clj0002", "clj0003", "clj0004"]
        assert [sample.id for sample in read_folder(out)] == ["clj0000", "clj0005"]
        assert json.loads((out / MANIFEST).read_text())["skipped"] == result.skipped
        before, made = contents(out), times(out)
        again = prepare([folder], out, skip_faulty=True)
        assert (again.num_written, again.num_kept, again.skipped) == (0, 4, result.skipped)
        assert times(out) == made
        with pytest.raises(InputError, match="4 of 6 rows"):  # without the option they are wanted
            prepare([folder], out)
        prepare([folder], out, skip_faulty=True)
        assert contents(out).keys() == before.keys()
        assert read_folder(out)

    def test_no_row_that_can_be_used(self, row, shards_of, tmp_path):
        folder = shards_of([row(0) | {"image": None}])
        with pytest.raises(InputError, match="no row of the Parquet files can be used"):
            prepare([folder], tmp_path / "out", skip_faulty=True)

    def test_the_number_of_rows_is_checked(self, hub_folder, tmp_path, monkeypatch):
        with pytest.raises(InputError, match=r"expected 418 rows, found 7 in 2 .*--num-rows 7"):
            prepare([hub_folder], tmp_path / "out", num_rows=418)
        module = sys.modules[
            "mmseg_heritage.dataprep.hub.prepare_folder"
        ]  # its parent has the function
        monkeypatch.setattr(module, "DEFAULT_REVISION", COMMIT)
        with pytest.raises(InputError, match=f"418 rows, as revision {COMMIT} has, found 7"):
            prepare([hub_folder], tmp_path / "out", revision=COMMIT)
        assert not (tmp_path / "out").exists()
        prepare([hub_folder], tmp_path / "out", revision=COMMIT, num_rows=7)

    def test_ids_and_damage_stop_it_before_anything_is_written(self, row, shards_of, tmp_path):
        folder = shards_of([row(0), row(1) | {"id": "../../evil"}], [row(0)], [row(2)])
        path = folder / "train-00002-of-00003.parquet"
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(InputError) as caught:
            prepare([folder], tmp_path / "out")
        assert len(caught.value.problems) == 3
        assert sorted(path.name for path in tmp_path.iterdir()) == ["hub"]

    def test_a_side_of_no_pixels_is_refused(self, hub_folder, tmp_path):
        with pytest.raises(InputError, match=r"max_side: expected .* at least 1, found 0"):
            prepare([hub_folder], tmp_path / "out", max_side=0)


class TestCache:
    """Files in a cache of Hugging Face, which names them by their hash."""

    @pytest.fixture
    def cache(self, hub_folder, tmp_path):
        folder = tmp_path / "datasets--danielaivanova--damaged-media"
        data = folder / "snapshots" / COMMIT / "data"
        data.mkdir(parents=True)
        (folder / "blobs").mkdir()
        for path in hub_folder.iterdir():
            blob = folder / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
            shutil.copy(path, blob)
            (data / path.name).symlink_to(Path("../../../blobs") / blob.name)
        return folder

    def test_the_commit_is_found_and_must_be_the_one_that_is_asked_for(self, cache, tmp_path):
        assert prepare([cache], tmp_path / "out").revision == COMMIT
        assert json.loads((tmp_path / "out" / MANIFEST).read_text())["revision"] == COMMIT
        with pytest.raises(InputError, match=f"expected {'b' * 40}, found files of {COMMIT}"):
            prepare([cache / "snapshots" / COMMIT], tmp_path / "out", revision="b" * 40)
        (cache / "refs").mkdir()
        (cache / "refs" / "v1").write_text(COMMIT)
        assert prepare([cache], tmp_path / "out", revision="v1").revision == COMMIT

    def test_a_damaged_download_is_found_by_its_hash(self, cache, tmp_path):
        blob = min((cache / "blobs").iterdir())
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        blob.write_bytes(content)
        with pytest.raises(InputError) as caught:
            prepare([cache], tmp_path / "out")
        (problem,) = caught.value.problems
        assert f"damaged; remove {blob}" in problem or "damaged (" in problem


def png(pixels: np.ndarray) -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_row_of_133_megapixels_stays_within_its_memory(row, shards_of, tmp_path):
    width, height = 14_000, 9_500
    big = row(1)
    photograph = Image.new("RGB", (width, height), (200, 180, 160))
    photograph.save(tmp_path / "big.jpg")
    mask = Image.new("I", (width, height), 9)
    mask.paste(255, (0, 0, 500, height))
    mask.save(tmp_path / "big.tif")  # not compressed, 4 bytes for a pixel: the worst there is
    del photograph, mask
    big["image"]["bytes"] = (tmp_path / "big.jpg").read_bytes()
    big["annotation"]["bytes"] = (tmp_path / "big.tif").read_bytes()
    folder = shards_of([row(0), big, row(2)])
    del big
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mmseg_heritage.dataprep.hub import prepare\n"
        "prepare([sys.argv[1]], sys.argv[2])\n"
        # Not ru_maxrss: that of a process begins with what its parent had.
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3.2e6  # kB; docs/how-to/prepare-data.md states it
    found = read_mask(tmp_path / "out" / "annotations" / "clj0001.png", (width, height))
    assert (found[:, :500] == 255).all()
    assert (found[:, 500:] == 9).all()
