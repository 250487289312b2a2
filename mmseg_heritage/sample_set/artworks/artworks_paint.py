"""Objects made by hand of paint, stone, thread and clay."""

from __future__ import annotations

import numpy as np

from mmseg_heritage.sample_set.artworks.artwork import (
    Artwork,
    brushwork,
    clip,
    gray,
    ground_layer,
    linen,
    mortar,
    one_of,
    saturated,
    shaded,
    threads,
    timber,
    unit_of,
)
from mmseg_heritage.sample_set.artworks.designs import flat, landscape, portrait, still_life
from mmseg_heritage.sample_set.artworks.designs_flat import (
    bird,
    bouquet,
    carpet,
    rosette,
    saint,
    tiles,
)
from mmseg_heritage.sample_set.noise import (
    Cells,
    FloatArray,
    Shape,
    blur,
    fbm,
    grid,
    pick,
    relief,
    resample,
    shift,
    smoothstep,
    value_noise,
    warped,
)
from mmseg_heritage.sample_set.strokes import Color, Stencil, over, points


def canvas_painting(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Oil on canvas: brush strokes, warm varnish, the weave faintly visible."""
    design = one_of(rng, landscape, portrait, still_life)
    weave = threads(shape, 2.6 * unit_of(shape), 0.10, rng)
    painted = shaded(brushwork(design(shape, rng), 7.0, rng), weave)
    varnish = np.array((1.0, 0.95, 0.82), np.float32)
    ground = shaded(ground_layer(shape, (0.86, 0.83, 0.76), rng), weave)
    return Artwork(
        "Painting", clip(painted * varnish), ground, linen(shape, rng), ("full", "panel")
    )


def wood_panel(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Tempera on wood: a saint on gold within a painted border, or a bouquet."""
    h, w = shape
    s = min(h, w)
    painted = brushwork(one_of(rng, saint, saint, bouquet)(shape, rng), 3.0, rng)
    frame = Stencil(shape)
    frame.polygon(points((-9, -9), (w + 9, -9), (w + 9, h + 9), (-9, h + 9)))
    m = 0.055 * s
    corners = points((m, m), (w - m, m), (w - m, h - m), (m, h - m))
    border = frame.erase(corners).alpha()
    painted = over(painted, border, (0.42, 0.15, 0.10))
    painted = over(
        painted, Stencil(shape).line(corners, 0.012 * s, True).alpha(), (0.90, 0.76, 0.38)
    )
    wood = timber(shape, rng)
    grain = 0.93 + 0.14 * gray(wood) / float(gray(wood).mean() + 1e-6) - 0.07
    gesso = ground_layer(shape, (0.90, 0.86, 0.76), rng)
    return Artwork("Panel painting", shaded(painted, grain), gesso, wood, ("full", "panel", "arch"))


def fresco(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Lime plaster: dull pigments sunk into an uneven wall."""
    u = unit_of(shape)
    picture = saturated(one_of(rng, saint, landscape, bird)(shape, rng), 0.62)
    plaster = ground_layer(shape, (0.87, 0.83, 0.75), rng)
    float_coat = mortar(shape, rng, (0.70, 0.62, 0.50))
    thin = 0.18 + 0.42 * smoothstep(0.35, 0.8, fbm(shape, 22 * u, rng, 5, 0.65))
    wall = relief(fbm(shape, 16 * u, rng, 4, 0.6), 1.2)
    picture = shaded(over(brushwork(picture, 4.0, rng, 0.4), thin, plaster), wall)
    return Artwork("Fresco", picture, float_coat, mortar(shape, rng), ("full", "full", "fragment"))


def _mosaic(picture: FloatArray, rng: np.random.Generator) -> Artwork:
    """Sets a picture in stones: one color each, grout between, a bevel on every stone."""
    shape = (picture.shape[0], picture.shape[1])
    u = unit_of(shape)
    size = max(6.6 * u, 4.0)
    ys, xs = warped(shape, 5 * u, 60 * u, rng)
    cells = Cells(ys, xs, size, 0.42, rng)
    # The color of a stone is the picture's at its center; warping makes that a little off.
    centers = cells.centers.astype(np.float32)
    tones = resample(picture, centers[:, 0], centers[:, 1])
    varied = tones * (0.84 + 0.32 * rng.random((len(tones), 1)))
    varied = varied + 0.05 * (rng.random(tones.shape) - 0.5)
    stone = clip(varied[cells.index].astype(np.float32))
    dome = smoothstep(0, 0.3 * size, cells.edge)
    stone = shaded(stone, (0.86 + 0.14 * dome) * relief(blur(dome, 0.5), 0.22))
    grout = mortar(shape, rng, (0.60, 0.56, 0.49))
    gap = max(0.75 * u, 0.45)
    laid = over(grout, smoothstep(gap - 0.45, gap + 0.45, cells.edge), stone)
    bed = mortar(shape, rng, (0.50, 0.44, 0.36))
    return Artwork("Mosaic", laid, bed, bed, ("full", "full", "fragment"), cells.index)


def mosaic_picture(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Floor or wall mosaic of a bird, a saint or a bouquet."""
    return _mosaic(one_of(rng, bird, saint, bouquet)(shape, rng), rng)


def mosaic_pattern(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Floor mosaic with rings or stars."""
    return _mosaic(one_of(rng, rosette, tiles)(shape, rng), rng)


def _woven(picture: FloatArray, kind: str, rng: np.random.Generator) -> Artwork:
    """Renders a picture in threads: color steps from knot to knot, ribs, fading."""
    shape = (picture.shape[0], picture.shape[1])
    u = unit_of(shape)
    knot = max(2.0 * u, 1.5)
    ys, xs = grid(shape)
    row = np.floor(ys / knot)
    column = np.floor(xs / knot + 0.5 * (row % 2))
    woven = resample(
        picture,
        ((row + 0.5) * knot).astype(np.float32),
        ((column + 0.5 - 0.5 * (row % 2)) * knot).astype(np.float32),
    )
    rib = 0.84 + 0.2 * np.abs(np.sin(np.pi * ys / knot)) * np.abs(np.sin(np.pi * xs / (2 * knot)))
    abrash = 0.88 + 0.24 * value_noise(shape, (12 * u, 200 * u), rng)
    cloth = shaded(woven, (rib * abrash).astype(np.float32))
    cloth = over(saturated(cloth, 0.85), 0.10 * fbm(shape, 40 * u, rng), (0.70, 0.62, 0.50))
    cloth = shaded(cloth, relief(blur(fbm(shape, 60 * u, rng, 2), 3 * u), 3.0 / u))
    warp = shaded(flat(shape, (0.74, 0.67, 0.54)), threads(shape, 2.4 * u, 0.45, rng))
    return Artwork(kind, cloth, warp, warp, ("full", "torn", "panel"))


def tapestry(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Woven picture."""
    return _woven(one_of(rng, landscape, bouquet, bird)(shape, rng), "Tapestry", rng)


def rug(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Woven pattern."""
    return _woven(one_of(rng, carpet, carpet, tiles)(shape, rng), "Carpet", rng)


def _glazed(
    picture: FloatArray, kind: str, forms: tuple[str, ...], rng: np.random.Generator
) -> Artwork:
    """Fires a picture onto clay: pooled color, pin-holes, a window's reflection."""
    shape = (picture.shape[0], picture.shape[1])
    u = unit_of(shape)
    fired = blur(brushwork(picture, 2.0, rng, 0.15), 0.4 * u)
    fired = shaded(fired, 0.92 + 0.12 * fbm(shape, 26 * u, rng))
    ys, xs = grid(shape)
    x0, y0 = pick(rng, 0.2, 0.4) * shape[1], pick(rng, 0.15, 0.35) * shape[0]
    shine = np.exp(-(((xs - x0) / (0.12 * shape[1])) ** 2 + ((ys - y0) / (0.2 * shape[0])) ** 2))
    fired = over(fired, (0.22 * shine).astype(np.float32), (1.0, 1.0, 1.0))
    clay = mortar(shape, rng, (0.68, 0.42, 0.29))
    slip = ground_layer(shape, (0.84, 0.74, 0.62), rng)
    return Artwork(kind, fired, slip, clay, forms)


def plate(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Round dish: a bird or bouquet in the well, a patterned rim, molded rings."""
    glaze: Color = (0.90, 0.89, 0.85)
    rim = rosette(shape, rng)
    ys, xs = grid(shape)
    dy, dx = (ys - shape[0] / 2) / (shape[0] / 2), (xs - shape[1] / 2) / (shape[1] / 2)
    r = np.sqrt(dx * dx + dy * dy)
    well = one_of(rng, bird, bouquet)(shape, rng)
    grow = 1.45  # the picture is made smaller to fit the well
    well = resample(
        well, shape[0] / 2 + grow * (ys - shape[0] / 2), shape[1] / 2 + grow * (xs - shape[1] / 2)
    )
    inner = smoothstep(0.68, 0.66, r)
    image = over(over(flat(shape, glaze), smoothstep(0.71, 0.73, r), rim), inner, well)
    profile = smoothstep(0.60, 0.70, r) + 0.5 * smoothstep(0.90, 0.97, r)
    molded = np.clip(1 + 9 * (profile - shift(profile, 1.0, 1.0)) * unit_of(shape) * 0.25, 0.8, 1.2)
    return _glazed(shaded(image, molded), "Ceramic plate", ("round",), rng)


def tile(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Glazed tile or sherd with a geometric pattern."""
    picture = one_of(rng, tiles, rosette)(shape, rng)
    return _glazed(picture, "Ceramic tile", ("full", "panel", "fragment"), rng)
