"""Fetching the data set from the Hugging Face hub, which an optional package does."""

from __future__ import annotations

from pathlib import Path

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.hub import NO_NETWORK, has_no_network

REPOSITORY = "danielaivanova/damaged-media"
DEFAULT_REVISION = "1e2bd645627fdbb79088d8724b010b66fb6df738"
"""The commit on the hub that results refer to unless another is named."""
DEFAULT_NUM_ROWS = 418
"""Rows that the data set has at that commit."""


def download(
    revision: str = DEFAULT_REVISION, repository: str = REPOSITORY, cache_dir: Path | None = None
) -> Path:
    """Fetches the Parquet files (4.07 GB) into the Hugging Face cache, or finds them there.

    An interrupted download goes on where it was.

    Args:
        revision: Commit, branch or tag.
        repository: Data set on the hub.
        cache_dir: Folder of the cache; that of huggingface_hub if None.

    Returns:
        The folder of this revision in the cache.

    Raises:
        InputError: If huggingface_hub is missing, or the files are neither cached nor reachable.
    """
    elsewhere = (
        f"or fetch the files of https://huggingface.co/datasets/{repository}/tree/{revision}/data "
        "on another machine and give their folder as SOURCE"
    )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError(
            f"downloading needs huggingface_hub ({error}): pip install huggingface_hub; {elsewhere}"
        ) from error
    is_offline = has_no_network()
    try:
        folder = snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns=["data/*.parquet"],
            cache_dir=cache_dir,
            local_files_only=is_offline,
        )
    except Exception as error:  # its HTTP client, and so the exceptions, change between releases
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = f"huggingface.co: {NO_NETWORK}" if is_offline else said
        raise InputError(
            f"{repository} at revision {revision} cannot be downloaded ({reason}). Check the "
            f"network and the free disk space and run this again, {elsewhere}"
        ) from error
    return Path(folder)
