"""How much memory this process may still take, on a machine of its own, in a job or a container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def available_memory(root: Path = _ROOT) -> int:
    """Returns the bytes that can be taken before something is swapped or killed. Linux only.

    That is the kernel's own estimate for the machine (``MemAvailable``), or less where a control
    group, by which Slurm and containers limit memory, leaves less.

    Args:
        root: Folder that holds ``proc`` and ``sys``.
    """
    lines = (root / "proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    machine = int(fields["MemAvailable"].split()[0]) * 1024
    return max(0, min([machine, *_left_by_control_groups(root)]))


def _left_by_control_groups(root: Path) -> Iterator[int]:
    """Yields what every control group with a limit leaves, this process's own and those above."""
    record = root / "proc/self/cgroup"
    for line in record.read_text().splitlines() if record.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2: one tree for everything
            tree, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
            cache = "inactive_file"
        elif "memory" in controllers.split(","):
            tree, limit = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            usage, cache = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = PurePosixPath(path)
        # A container sees its own group as the root, whatever the path says.
        for folder in (tree / part.relative_to("/") for part in (group, *group.parents)):
            if not (folder / limit).is_file():
                continue
            allowed = (folder / limit).read_text().strip()
            if allowed == "max":
                continue
            statistics = dict(s.split() for s in (folder / "memory.stat").read_text().splitlines())
            # Files read once count as used, but are freed on demand.
            used = int((folder / usage).read_text()) - int(statistics.get(cache, 0))
            yield int(allowed) - used
