"""Count the classes of a split's training part and write class weights from them."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="data/artefact", help="default: %(default)s")
    parser.add_argument(
        "--split-file",
        default="",
        metavar="FILE",
        help="manifest below the data root, or a folder of folds (default: the default split)",
    )
    parser.add_argument(
        "--formula",
        default="inverse_sqrt_log_scaled",
        help="inverse, inverse_sqrt, effective_samples, inverse_sqrt_log_scaled or "
        "median_frequency (default: %(default)s)",
    )
    parser.add_argument(
        "--max-ratio", type=float, metavar="R", help="no weight is over R times another one"
    )
    parser.add_argument("--level", default="fine", help="classes to weigh (default: %(default)s)")
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="JSON to write (default: below class_weights/ in the data root)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier weights")


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.dataprep.weights.weight_files import chart_of, make_weight_files
    from mmseg_heritage.utils.progress import progress_bar
    from mmseg_heritage.visualization.figures.weight_figure import plot_class_weights, weight_table

    written = make_weight_files(
        args.data_root,
        args.split_file,
        args.out,
        args.formula,
        args.max_ratio,
        args.level,
        args.overwrite,
        progress_bar,
        plot_class_weights,
    )
    for path, content in written.items():
        print(f"{weight_table(content)}\nweights and chart: {path}, {chart_of(path)}")
