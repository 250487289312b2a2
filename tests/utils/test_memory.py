"""Memory that is left: the machine's, or less where a control group limits it."""

import sys

import pytest

from mmseg_heritage.utils.memory import available_memory

GB = 10**9


@pytest.fixture
def machine(tmp_path):
    """A root folder with 16 GB available and no control groups."""
    (tmp_path / "proc/self").mkdir(parents=True)
    lines = [f"MemTotal: {32 * GB // 1024} kB", f"MemAvailable:  {16 * GB // 1024} kB", "Hugepages"]
    (tmp_path / "proc/meminfo").write_text("\n".join(lines) + "\n")
    return tmp_path


def _group(root, line, tree, path, limit, usage, cached=0):
    """Adds a control group; version 2 has an empty list of controllers in its line."""
    record = root / "proc/self/cgroup"
    record.write_text((record.read_text() if record.exists() else "") + line + "\n")
    folder = root / "sys/fs/cgroup" / tree / path
    folder.mkdir(parents=True, exist_ok=True)
    second = "::" in line
    names = ("memory.max", "memory.current") if second else (
        "memory.limit_in_bytes", "memory.usage_in_bytes")  # fmt: skip
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    field = "inactive_file" if second else "total_inactive_file"
    (folder / "memory.stat").write_text(f"cache 5\n{field} {cached}\n")


def test_without_limits_it_is_what_the_machine_has_left(machine):
    assert abs(available_memory(machine) - 16 * GB) < 1024


@pytest.mark.parametrize("path", ["slurm/job_7/step_0", "slurm/job_7", "slurm", ""])
@pytest.mark.parametrize(
    ("line", "tree"),
    [("0::/slurm/job_7/step_0", ""), ("9:cpu,memory:/slurm/job_7/step_0", "memory")],
)
def test_the_limit_of_any_group_above_counts(machine, line, tree, path):
    _group(machine, line, tree, path, limit=8 * GB, usage=3 * GB, cached=GB)
    assert available_memory(machine) == 6 * GB


def test_the_smallest_limit_counts_and_none_is_below_zero(machine):
    _group(machine, "3:cpu:/x", "cpu", "x", limit=1, usage=0)
    _group(machine, "4:memory:/x", "memory", "x", limit=4 * GB, usage=GB)
    _group(machine, "0::/x", "", "x", limit="max", usage=GB)
    assert available_memory(machine) == 3 * GB
    _group(machine, "5:memory:/y", "memory", "y", limit=GB, usage=2 * GB)
    assert available_memory(machine) == 0


def test_no_limit_is_written_as_a_huge_one(machine):
    _group(machine, "4:memory:/", "memory", "", limit=9223372036854771712, usage=GB)
    assert abs(available_memory(machine) - 16 * GB) < 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_machine_has_some():
    assert 10**6 < available_memory() < 10**15
