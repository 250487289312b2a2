"""Running and collecting a benchmark of domain generalization, from its plan."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.domains.benchmark.benchmark_plan import (
    Method,
    Plan,
    PlannedRun,
    load_plan,
)
from mmseg_heritage.domains.benchmark.benchmark_tables import benchmark_tables
from mmseg_heritage.domains.benchmark.costs import training_costs
from mmseg_heritage.domains.benchmark.results import (
    DEFINITIONS,
    ORACLE,
    best_on_held_out,
    family_results,
)
from mmseg_heritage.engine.checkpoint_files import listed
from mmseg_heritage.engine.hooks.throughput_hook import SUMMARY
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.bootstrap import RESAMPLES
from mmseg_heritage.evaluation.store import Counts, load_counts
from mmseg_heritage.evaluation.summary import COUNTS_FILE, METRICS_FILE, load_metrics
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.resume import latest_checkpoint, training_config
from mmseg_heritage.utils.files import replacing, sha256, write_json
from mmseg_heritage.utils.json_reading import parse_json
from mmseg_heritage.visualization.report.benchmark_page import benchmark_page

SCHEMA = "mmseg_heritage/benchmark-dg/1"
RESULTS = "benchmark.json"
IDENTITY = "planned_run.json"
_IN_DOMAIN = "in_domain"


class Benchmark:
    """A plan with its folds and the folder of its runs.

    Args:
        plan_file: See :func:`mmseg_heritage.domains.benchmark.benchmark_plan.load_plan`.
        out: Folder of the runs.

    Raises:
        InputError: If plan, configs or folds cannot be used, or if methods differ in their
            iterations or in the weights they start from.
    """

    def __init__(self, plan_file: str | Path, out: str | Path) -> None:
        self.plan, self.out = load_plan(plan_file), Path(out)
        self.manifests = _manifests(self.plan)
        self.runs = self.plan.runs({f: list(names) for f, names in self.manifests.items()})
        self._configs = self._config_hashes()

    def identity(self, run: PlannedRun) -> dict[str, Any]:
        """Returns what a run is made from; another one has other results."""
        parts = {
            "config_sha256": self._configs[run.method, run.family],
            "manifest_sha256": self.manifests[run.family][run.fold],
            "max_iters": self.plan.max_iters,
            "seed": run.seed,
        }
        return {**parts, "sha256": _digest(parts)}

    def state(self, run: PlannedRun) -> str:
        """Returns 'done', 'to do', or 'other' for a folder that holds another run."""
        path = self.out / run.name / IDENTITY
        if not path.is_file():
            return "to do"
        try:
            found = parse_json(path)
        except ValueError:
            return "other"
        if found != self.identity(run):
            return "other"
        folder = self.out / run.name
        is_done = _is_tested(folder) and all(map(_is_tested, self._tests(folder)))
        return "done" if is_done else "to do"

    def states(self) -> dict[PlannedRun, str]:
        """Returns :meth:`state` of every run, in the order of the plan."""
        return {run: self.state(run) for run in self.runs}

    def require_same(self, states: Mapping[PlannedRun, str]) -> None:
        """Refuses folders that hold runs of other manifests, budgets, configs or weights.

        Args:
            states: What :meth:`states` returns.

        Raises:
            InputError: Naming them.
        """
        if others := [str(self.out / r.name) for r, state in states.items() if state == "other"]:
            raise InputError(
                "runs of another plan, manifest, budget or start are never mixed; choose another "
                "--out, or move these away",
                others,
            )

    def run_one(self, run: PlannedRun) -> int:
        """Trains a run, or goes on with it, and tests its last weights, each in a child process.

        Returns:
            The exit status: 0 if all is done.
        """
        folder, method = self.out / run.name, self.plan.methods[run.method]
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / IDENTITY, self.identity(run))
        options = {
            **self._options(method, run.family),
            "split_file": f"splits/{run.family}/{run.fold}.json",
            "seed": run.seed,
        }
        pairs = ["--cfg-options", *(f"{key}={_text(value)}" for key, value in options.items())]
        commands = []
        if not _is_tested(folder):
            train = ["train", method.config, "--work-dir", str(folder), "--resume", *pairs]
            if status := _child(train):
                return status
            commands.append(_test_command(latest_checkpoint(folder), folder))
        tests = self._tests(folder)
        commands += [command for place, command in tests.items() if not _is_tested(place)]
        return next((status for status in map(_child, commands) if status), 0)

    def _tests(self, folder: Path) -> dict[Path, list[str]]:
        """Returns folder of results -> command, of the tests beside the main one."""
        *earlier, last = listed(folder) or [folder]  # files may be gone when all is tested
        in_domain = ["--allow-seen", "--cfg-options", "test_dataloader.dataset.split=val"]
        tests = {folder / _IN_DOMAIN: [*_test_command(last, folder / _IN_DOMAIN), *in_domain]}
        for name in self.plan.adapt:
            place = folder / f"adapt_{name}"
            tests[place / f"adapted_{name}"] = [*_test_command(last, place), "--adapt", name]
        for checkpoint in earlier if self.plan.oracle else ():
            place = folder / ORACLE / checkpoint.stem
            tests[place] = _test_command(checkpoint, place)
        return tests

    def collect(self, resamples: int = RESAMPLES) -> dict[str, Any]:
        """Gathers the results of all runs into ``benchmark.json``, ``.md``, ``.tex`` and ``.html``.

        Raises:
            InputError: If runs are missing, or are of another plan.
        """
        states = self.states()
        self.require_same(states)
        if missing := [run.name for run, state in states.items() if state != "done"]:
            raise InputError("not all runs are done; run the plan again to go on", missing)
        families = {}
        for family in self.manifests:
            held_out, in_domain = (self._counts(family, place) for place in ("", _IN_DOMAIN))
            beside = {
                name: self._counts(family, f"adapt_{name}/adapted_{name}")
                for name in self.plan.adapt
            }
            if self.plan.oracle:
                beside[ORACLE] = self._oracle_counts(family)
            families[family] = family_results(
                held_out, in_domain, self.plan.reference, resamples, beside=beside
            )
        content = {
            "schema": SCHEMA,
            "definitions": DEFINITIONS,
            "reference": self.plan.reference,
            "max_iters": self.plan.max_iters,
            "runs": {run.name: self.identity(run) for run in self.runs},
            "cost": self._costs(),
            "families": families,
        }
        write_json(self.out / RESULTS, content)
        tables = benchmark_tables(content)
        page = benchmark_page(content, tables)
        for suffix, text in (
            (".html", page),
            (".md", "\n".join(table.markdown() for table in tables)),
            (".tex", "\n".join(table.latex() for table in tables)),
        ):
            with replacing((self.out / RESULTS).with_suffix(suffix)) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return content

    def _counts(self, family: str, place: str) -> dict[str, dict[str, list[Counts]]]:
        """Reads method -> fold -> counts of each seed, of the tests in a place below the runs."""
        return self._gathered(family, lambda folder: _read_counts(folder / place))

    def _oracle_counts(self, family: str) -> dict[str, dict[str, list[Counts]]]:
        """Reads the same of the checkpoints that an oracle takes."""

        def best(folder: Path) -> Counts:
            places = [folder, *(p for p in self._tests(folder) if p.parent.name == ORACLE)]
            return best_on_held_out(list(map(_read_counts, places)))

        return self._gathered(family, best)

    def _gathered(
        self, family: str, read: Callable[[Path], Counts]
    ) -> dict[str, dict[str, list[Counts]]]:
        """Returns method -> fold -> what is read of the folder of each seed."""
        found: dict[str, dict[str, list[Counts]]] = {}
        for run in (run for run in self.runs if run.family == family):
            of_method = found.setdefault(run.method, {})
            of_method.setdefault(run.fold, []).append(read(self.out / run.name))
        return found

    def _costs(self) -> dict[str, dict[str, Any]]:
        """Reads what the trainings took."""
        found: dict[str, dict[Any, dict[str, Any]]] = {name: {} for name in self.plan.methods}
        for run in self.runs:
            path = self.out / run.name / SUMMARY
            if path.is_file():
                found[run.method][run.family, run.fold, run.seed] = parse_json(path)
        return training_costs(found, self.plan.reference)

    def _options(self, method: Method, family: str) -> dict[str, Any]:
        """Returns the options that all runs of a method in a family have."""
        plan = self.plan
        own = {**method.cfg_options, **method.family_options.get(family, {})}
        fixed = {"data_root": plan.data_root, "max_iters": plan.max_iters}
        return {**plan.cfg_options, **own, **fixed}

    def _config_hashes(self) -> dict[tuple[str, str], str]:
        """Loads each config; refuses other budgets and other weights to start from."""
        hashes, problems, starts = {}, [], {}
        for name, method in self.plan.methods.items():
            for family in self.manifests:
                cfg = load_config(method.config, self._options(method, family))
                label = f"{name}, {family}"
                if cfg.train_cfg.get("max_iters") != self.plan.max_iters:
                    problems.append(f"{label}: its config trains by epochs, not by iterations")
                if cfg.default_hooks.checkpoint.get("save_best"):
                    problems.append(f"{label}: its config chooses a checkpoint (save_best)")
                start = starts[name, family] = _start(cfg)
                hashes[name, family] = _digest({"config": training_config(cfg), "start": start})
        problems += [
            f"{name}, {family}: starts from other weights"
            for (name, family), start in starts.items()
            if start != starts[self.plan.reference, family]
        ]
        if problems:
            raise InputError("methods are compared at one budget, from the same weights", problems)
        return hashes


def _manifests(plan: Plan) -> dict[str, dict[str, str]]:
    """Returns family -> fold -> hash of its split; makes the manifests that are not there yet."""
    found: dict[str, dict[str, str]] = {}
    for family, chosen in plan.folds.items():
        folder = Path(plan.data_root) / "splits" / family
        if not folder.is_dir():
            make_split_files(plan.data_root, kinds=(family,))
        paths = {path.stem: path for path in sorted(folder.glob("*.json"))}
        names = list(paths) if chosen == "all" else chosen
        if unknown := [name for name in names if name not in paths]:
            raise InputError(f"{folder}: expected folds, of {', '.join(paths)}", unknown)
        found[family] = {name: load_split(paths[name]).digest() for name in names}
    return found


def _start(cfg: Any) -> Any:
    """Returns what the weights start from, with the hashes of files."""
    names = [cfg.get("load_from"), (cfg.model.backbone.get("init_cfg") or {}).get("checkpoint")]
    return [sha256(n) if n and Path(n).is_file() else n for n in names]


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_counts(place: Path) -> Counts:
    return load_counts(place / EVALUATION_FOLDER / COUNTS_FILE)


def _is_tested(folder: Path) -> bool:
    """Whether a test came to its end."""
    path = folder / EVALUATION_FOLDER / METRICS_FILE
    return path.is_file() and "run" in load_metrics(path)


def _test_command(checkpoint: Path | None, place: Path) -> list[str]:
    return ["test", str(checkpoint), "--work-dir", str(place), "--overwrite"]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _child(arguments: list[str]) -> int:
    """Runs a command of this package in a process of its own."""
    return subprocess.run([sys.executable, "-m", "mmseg_heritage", *arguments]).returncode
