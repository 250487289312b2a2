"""The ARTeFACT data set and everything in its folder layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS
from numpy.typing import NDArray

from mmseg_heritage.dataprep.class_file import find_classes
from mmseg_heritage.dataprep.data_folder import DataFolder, data_folder
from mmseg_heritage.dataprep.layout import Sample, select
from mmseg_heritage.dataprep.splits.groups import split_units, unit_name
from mmseg_heritage.dataprep.splits.split import Split
from mmseg_heritage.dataprep.statistics import sample_pixels
from mmseg_heritage.datasets.caches.pixel_cache import CACHES, CacheItem, PixelCache, plan_cache
from mmseg_heritage.datasets.caches.shared_cache import shared_cache
from mmseg_heritage.datasets.seeded import SeededSamples
from mmseg_heritage.datasets.trained_classes import (
    all_classes,
    classes_of_level,
    classes_of_metainfo,
)
from mmseg_heritage.datasets.transforms.fourier_mix import RandomFourierMix
from mmseg_heritage.datasets.transforms.loading import LoadARTeFACTAnnotations, LoadHeritageImage
from mmseg_heritage.datasets.transforms.rare_class_crop import RareClassCrop
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, FINE_LEVEL, IGNORE_INDEX

ALL = "all"
"""Value of ``split`` that takes every sample, whatever the manifest says."""

DOMAIN_KEYS = ("material", "content")
"""Columns of the metadata that can be the domains."""

_FOLDERS = {"img_path": "images", "seg_map_path": "annotations"}


@DATASETS.register_module()
class ARTeFACTDataset(SeededSamples, BaseSegDataset):
    """Photographs of damaged objects with a class for each pixel; 255 is outside.

    Folder layout: ``images/<id>.<suffix>``, ``annotations/<id>.<suffix>`` and, optionally,
    ``metadata.csv`` with the columns id, material, content, for copies and tiles source_id, and for
    near-duplicates group_id; and ``classes.json`` with classes of its own
    (:mod:`mmseg_heritage.dataprep.class_file`), without which they are the 16 of ARTeFACT.
    Source: Ivanova et al., WACV 2025, arXiv:2412.04580.

    Args:
        data_root: Folder of the data set.
        split: Part of the split to take ('train', 'val', 'test'), or 'all'.
        ann_file: Split manifest (JSON), relative to ``data_root`` or absolute. Empty takes the
            default split by source object.
        level: Classes to train: 'fine' (16), 'coarse' (4, Clean is ignored), 'coarse_by_id' or
            'binary' (Clean, Damage); of own classes 'coarse' where they have groups, and 'binary'
            where one of them is Clean.
        with_background: Makes 255 a class of its own, 'Background', instead of ignoring it.
        materials: Materials to keep; None keeps all.
        contents: Contents to keep; None keeps all.
        domain_key: Which column of the metadata is the domain of a sample, for training that
            compares domains: 'material' or 'content'. Samples then carry it as ``domain``. None
            names no domains.
        metainfo: ``dict(classes=...)`` with some of the classes trains those; pixels of the others
            are ignored. Where none of the names is a class of the folder, they are own classes, and
            the position is the mask value. ``palette`` may give their colors. Not to be combined
            with ``level`` and ``with_background``.
        data_prefix: Names of the image and annotation folders.
        metadata_file: Name of the metadata table.
        classes_file: File of classes, relative to ``data_root`` or absolute. Empty takes
            ``classes.json`` where there is one.
        cache: Where decoded pixels are kept when a data set with a pipeline is built: 'none',
            'ram' (one copy for all processes of a machine), 'disk', or 'auto', where there is room
            (see :func:`~mmseg_heritage.datasets.caches.shared_cache.shared_cache`).
        cache_dir: Folder of a cache on disk; empty takes ``cache`` below ``data_root``.
        **kwargs: See :class:`mmseg.datasets.BaseSegDataset`.

    Raises:
        InputError: If the folder, the manifest or an argument cannot be used, with all problems.
    """

    METAINFO = all_classes(ARTEFACT).metainfo()

    def __init__(
        self,
        data_root: str | None = None,
        split: str = "train",
        ann_file: str = "",
        level: str = "fine",
        with_background: bool = False,
        materials: str | Sequence[str] | None = None,
        contents: str | Sequence[str] | None = None,
        domain_key: str | None = None,
        metainfo: dict[str, Any] | None = None,
        data_prefix: dict[str, str] | None = None,
        metadata_file: str = "metadata.csv",
        classes_file: str = "",
        cache: str = "none",
        cache_dir: str = "",
        reduce_zero_label: bool = False,
        **kwargs: Any,
    ) -> None:
        if reduce_zero_label:
            raise InputError(
                "reduce_zero_label must stay False: 0 is a class here, not a void label"
            )
        if not data_root:
            raise InputError(
                "no data_root was given; set it to the data set's folder, "
                "for example --cfg-options data_root=data/artefact"
            )
        if data_prefix is not None and data_prefix.keys() - _FOLDERS.keys():
            raise InputError(
                f"data_prefix may hold {' and '.join(_FOLDERS)}, found {', '.join(data_prefix)}"
            )
        if cache not in CACHES:
            raise InputError(f"cache must be one of {', '.join(CACHES)}, found {cache!r}")
        if domain_key is not None and domain_key not in DOMAIN_KEYS:
            raise InputError(
                f"domain_key must be one of {', '.join(DOMAIN_KEYS)}, or None; found {domain_key!r}"
            )
        self.domain_key = domain_key
        self.cache = cache
        self.cache_dir = Path(cache_dir or Path(data_root) / "cache").absolute()
        self._pixels: PixelCache | None = None
        self.split = split
        self.materials = materials
        self.contents = contents
        self.metadata_file = metadata_file
        self._folders = {**_FOLDERS, **(data_prefix or {})}
        self._class_pixels: NDArray[np.int64] | None = None
        in_masks = find_classes(data_root, classes_file)
        if metainfo is None:
            self.trained_classes = classes_of_level(in_masks, level, with_background)
        elif level != FINE_LEVEL or with_background:
            raise InputError("give either metainfo.classes or level and with_background, not both")
        else:
            self.trained_classes = classes_of_metainfo(in_masks, metainfo)
        self._folder: DataFolder | None = None
        self._split: Split | None = None
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            metainfo={**(metainfo or {}), **self.trained_classes.metainfo()},
            data_prefix=self._folders,
            reduce_zero_label=False,
            **kwargs,
        )

    def get_label_map(self, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """Returns mask value -> training id (255 = ignored), or None where nothing changes.

        Args:
            new_classes: The trained classes, as mmseg states them; those that were chosen.
        """
        return self.trained_classes.label_map

    @property
    def folder(self) -> DataFolder:
        """The folder of the data set, which is read once; other parts of it share the reading."""
        if self._folder is None:
            self._folder = data_folder(
                self.data_root,
                self._folders["img_path"],
                self._folders["seg_map_path"],
                self.metadata_file,
                self.trained_classes.in_masks,
            )
        return self._folder

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the folder behind, with its list of all files: workers need their own part."""
        return {**self.__dict__, "_folder": None}

    def read_split(self) -> tuple[Split, list[Sample]]:
        """Returns the split and all samples of the data set, before any filter, both verified."""
        if self._split is None:
            self._split = self.folder.split(self.ann_file)
        return self._split, self.folder.samples

    def read_samples(self) -> list[Sample]:
        """Returns the samples of this part after the filters, sorted by id."""
        return self._chosen(*self.read_split())

    def _chosen(self, split: Split, samples: list[Sample]) -> list[Sample]:
        """Returns the samples of this part after the filters."""
        # Names are looked for in the whole data set: a rare material may be missing from one part.
        samples = select(samples, self.materials, self.contents)
        if self.split != ALL:
            ids = set(split.part(self.split))
            samples = [s for s in samples if s.id in ids]
        if not samples:
            filtered = self.materials is not None or self.contents is not None
            raise InputError(
                f"{self.data_root}: part '{self.split}' of split '{split.name}' is empty"
                + (" after the filters" if filtered else "")
            )
        return samples

    def load_data_list(self) -> list[dict[str, Any]]:
        """Returns one entry for each sample, in order of id."""
        split, everything = self.read_split()
        samples = self._chosen(split, everything)
        self.folder.check_sizes(samples)
        groups = {
            sample.id: unit_name(unit)
            for unit in split_units(everything, split.near_duplicates)
            for sample in unit
        }
        return [
            {
                "img_path": str(sample.image),
                "seg_map_path": str(sample.annotation),
                "label_map": self.label_map,
                "reduce_zero_label": False,
                "seg_fields": [],
                "sample_id": sample.id,
                "source_id": sample.source_id,
                "group": groups[sample.id],
                "material": sample.material,
                "content": sample.content,
                "domain": getattr(sample, self.domain_key) if self.domain_key else "",
            }
            for sample in samples
        ]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Returns what is known of a sample, with what the values of its mask mean."""
        return {**super().get_data_info(idx), "mask_classes": self.trained_classes.in_masks}

    def full_init(self) -> None:
        """Lists the samples, decodes those to be kept, and tells steps what they ask for."""
        if self._fully_initialized:
            return
        super().full_init()
        # Without a pipeline nothing is read.
        if self.cache != "none" and self.pipeline.transforms and self._cache_is_used():
            self._pixels = shared_cache(self.cache_items(), self.cache, self.cache_dir)
        for step in self.pipeline.transforms:
            if isinstance(step, RareClassCrop) and step.needs_counts:
                print_log(f"counting the classes in {len(self)} masks", "current")
                step.set_class_counts(self.class_pixels().sum(axis=0))
            if isinstance(step, RandomFourierMix):
                infos = map(self.get_data_info, range(len(self)))
                step.set_images([(info["img_path"], info["domain"]) for info in infos])

    def cache_items(self) -> list[CacheItem]:
        """Lists what the cache holds, or would hold, from the headers of the files."""
        infos = [self.get_data_info(i) for i in range(len(self))]
        return plan_cache(
            [(i["img_path"], i["seg_map_path"]) for i in infos],
            self.label_map,
            self.trained_classes.in_masks,
        )

    def _cache_is_used(self) -> bool:
        """Returns whether the pipeline looks into a cache; refuses one that was asked for else."""
        steps = {type(step) for step in self.pipeline.transforms}
        missing = [
            f"{loader.__name__} is not there"
            for loader in (LoadHeritageImage, LoadARTeFACTAnnotations)
            if loader not in steps
        ]
        if missing and self.cache == "auto":
            return False
        if missing:
            raise InputError(
                f"cache={self.cache!r} keeps what LoadHeritageImage and LoadARTeFACTAnnotations "
                "load; use both in the pipeline, or cache='none'",
                missing,
            )
        sources = {Path(self.data_root, folder).absolute() for folder in self._folders.values()}
        if self.cache in ("auto", "disk") and self.cache_dir in sources:
            raise InputError(f"{self.cache_dir}: cache_dir cannot be a folder of the data set")
        return True

    def prepare_data(self, idx: int) -> Any:
        """Runs the pipeline on a sample, giving it the cached pixels where there are some."""
        info = self.get_data_info(idx)
        if self._pixels is not None:
            info["cached_img"] = self._pixels.array(info["img_path"])
            info["cached_seg_map"] = self._pixels.array(info["seg_map_path"])
        return self.pipeline(info)

    def class_pixels(self) -> NDArray[np.int64]:
        """Counts the pixels of each class in each sample; reads the masks once.

        Returns:
            int64 (samples, classes), in the order of the data set and of the trained ids.
        """
        if self._class_pixels is None:
            ids = [self.get_data_info(i)["sample_id"] for i in range(len(self))]
            wanted = set(ids)
            samples = [s for s in self.read_samples() if s.id in wanted]
            counted = sample_pixels(samples, verified=self.folder.verified)
            counts = np.array([counted[i] for i in ids])
            self._class_pixels = np.zeros((len(ids), len(self.metainfo["classes"])), np.int64)
            for column, value in enumerate([*self.trained_classes.in_masks.ids, IGNORE_INDEX]):
                new_id = value if self.label_map is None else self.label_map.get(value, value)
                if new_id != IGNORE_INDEX:
                    self._class_pixels[:, new_id] += counts[:, column]
        return self._class_pixels

    def get_cat_ids(self, idx: int) -> list[int]:
        """Returns the classes in a sample, as mmengine's ``ClassBalancedDataset`` asks for them."""
        present: list[int] = np.flatnonzero(self.class_pixels()[idx]).tolist()
        return present
