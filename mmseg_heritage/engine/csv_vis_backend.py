"""The scalars of a run as a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.visualization.vis_backend import BaseVisBackend, force_init_env
from mmseg.registry import VISBACKENDS


@VISBACKENDS.register_module()
class CsvVisBackend(BaseVisBackend):
    """Appends every scalar to ``scalars.csv``, one row each: step, name, value.

    One row each, because the names differ from step to step (training, validation, memory).
    ``pandas.read_csv(...).pivot_table(index="step", columns="name", values="value")`` makes a table
    with a column for each name. The folder is the run's ``vis_data``, which mmengine gives.
    """

    def _init_env(self) -> None:
        """Writes the head of the table."""
        self._path = Path(self._save_dir) / "scalars.csv"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            self._append([("step", "name", "value")])

    @property
    def experiment(self) -> CsvVisBackend:
        """This object."""
        return self

    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Writes nothing: a config is no scalar."""

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Appends one value."""
        self.add_scalars({name: value}, step)

    @force_init_env
    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Appends several values of one step; 'step' among them is the step."""
        step = scalar_dict.get("step", step)
        rows = [(step, name, _plain(v)) for name, v in scalar_dict.items() if name != "step"]
        self._append(rows)

    def _append(self, rows: list[tuple[Any, Any, Any]]) -> None:
        with self._path.open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)


def _plain(value: Any) -> Any:
    """Returns the number in a tensor or array of one."""
    return value.item() if hasattr(value, "item") else value
