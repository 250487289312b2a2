"""Write damage maps in the formats of other programs: SVG, GeoJSON, ORA, COCO, CVAT, ..."""

from __future__ import annotations

import argparse

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.tables import plain_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "maps",
        nargs="+",
        metavar="MAPS",
        help="folder that predict wrote, folder of class maps, or a class map (PNG, TIFF)",
    )
    parser.add_argument(
        "--to",
        nargs="+",
        required=True,
        metavar="FORMAT",
        help="layers svg geojson ora annotations iiif dxf gpkg coco coco-polygons csv cvat "
        "label-studio label-studio-polygons",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--classes", metavar="FILE", help="classes.json of maps that are no prediction"
    )
    parser.add_argument(
        "--images", metavar="DIR", help="folder of the photographs, if they have been moved"
    )
    parser.add_argument(
        "--mm-per-pixel", type=float, metavar="MM", help="side of a pixel on the object"
    )
    parser.add_argument(
        "--error",
        type=float,
        default=1.0,
        metavar="PX",
        help="how far simplified borders may move; 0 keeps every pixel (default: 1)",
    )
    parser.add_argument(
        "--max-corners",
        type=int,
        default=500,
        metavar="N",
        help="polygons with more get up to 16 times the error (default: 500)",
    )
    parser.add_argument(
        "--min-area", type=int, default=1, metavar="PX", help="leave out smaller regions"
    )
    parser.add_argument(
        "--flip-y", action="store_true", help="GeoJSON with y up, and a world file, for QGIS"
    )
    parser.add_argument(
        "--base-url", metavar="URL", help="where the photographs are served, for annotations, iiif"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files")


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.apis.converting import convert
    from mmseg_heritage.exchange.web_annotations import BASE
    from mmseg_heritage.exchange.writers import Settings

    base = args.base_url or BASE
    settings = Settings(
        error=args.error,
        max_corners=args.max_corners,
        min_area=args.min_area,
        flip_y=args.flip_y,
        base=base if base.endswith("/") else f"{base}/",
    )
    done, problems = convert(
        args.maps,
        list(dict.fromkeys(args.to)),
        args.out,
        classes=args.classes,
        images=args.images,
        mm_per_pixel=args.mm_per_pixel,
        settings=settings,
        overwrite=args.overwrite,
        bar=progress_bar,
    )
    rows = [
        [
            one.name,
            f"{one.size[0]}x{one.size[1]}",
            *("---" if one.regions is None else
              f"{value:,g}" for value in (one.regions or 0, one.corners, one.error)),
        ]
        for one in done
    ]  # fmt: skip
    print(plain_table(["map", "size", "regions", "corners", "error px"], rows, labels=2))
    print(f"{len(done)} damage maps as {', '.join(dict.fromkeys(args.to))} in {args.out}")
    if problems:
        raise InputError(f"{len(problems)} maps could not be converted", problems)
