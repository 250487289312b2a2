"""Objects on sheets: manuscripts, works on paper, photographs, film and glass."""

from __future__ import annotations

import numpy as np

from mmseg_heritage.sample_set.artworks.artwork import (
    Artwork,
    brushwork,
    clip,
    engraved,
    flat,
    gray,
    ground_layer,
    one_of,
    paper,
    parchment,
    saturated,
    shaded,
    unit_of,
    vignette,
)
from mmseg_heritage.sample_set.artworks.designs import choose, landscape, portrait, still_life
from mmseg_heritage.sample_set.artworks.designs_flat import bird, bouquet, rosette, saint, tiles
from mmseg_heritage.sample_set.noise import (
    Cells,
    FloatArray,
    Shape,
    blur,
    fbm,
    grid,
    pick,
    smoothstep,
    stretch,
    value_noise,
    warped,
)
from mmseg_heritage.sample_set.strokes import (
    Color,
    Points,
    Stencil,
    handwriting,
    over,
    points,
    text,
    turned,
)

_INK: Color = (0.20, 0.14, 0.09)


def _box(x0: float, y0: float, x1: float, y1: float) -> Points:
    return points((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def _inset(page: FloatArray, picture: FloatArray, top: int, left: int) -> FloatArray:
    """Places a smaller picture on a page."""
    page = page.copy()
    page[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return page


def _script(
    page: FloatArray, box: tuple[float, float, float, float], pitch: float, rng: np.random.Generator
) -> FloatArray:
    """Fills a box (x0, y0, x1, y1) with ruled lines of book hand in brown ink."""
    shape = (page.shape[0], page.shape[1])
    x0, y0, x1, y1 = box
    ruling, ink = Stencil(shape), Stencil(shape)
    width = max(0.12 * pitch, 0.6)
    for base in np.arange(y0 + pitch, y1 + 0.1, pitch):
        ruling.line(points((x0, base), (x1, base)), max(0.05 * pitch, 0.4))
        x = x0
        while x < x1 - pitch:
            word = min(pitch * pick(rng, 0.9, 2.4), x1 - x)
            for stem in np.arange(x, x + word, 0.27 * pitch):
                tall = 0.85 if rng.random() < 0.14 else 0.5
                lean = pick(rng, -0.05, 0.12) * pitch
                ink.line(points((stem, base - tall * pitch), (stem + lean, base)), width)
                if rng.random() < 0.55:
                    high = base - (0.5 if rng.random() < 0.6 else 0.02) * pitch
                    ink.line(points((stem, high), (stem + 0.27 * pitch, high)), 0.7 * width)
            x += word + 0.42 * pitch
    page = over(page, 0.35 * ruling.alpha(), (0.55, 0.38, 0.30))
    fading = 0.62 + 0.38 * fbm(shape, 6 * pitch, rng)
    return over(page, ink.alpha() * fading, _INK)


def _initial(
    page: FloatArray, x: float, y: float, side: float, rng: np.random.Generator
) -> FloatArray:
    """Paints a large initial on a colored field with gold border and tendrils."""
    shape = (page.shape[0], page.shape[1])
    field = choose(rng, ((0.17, 0.27, 0.52), (0.58, 0.15, 0.13), (0.18, 0.38, 0.28)))
    page = over(page, Stencil(shape).polygon(_box(x, y, x + side, y + side)).alpha(), field)
    frame = Stencil(shape).line(_box(x, y, x + side, y + side), 0.08 * side, True)
    page = over(page, frame.alpha(), (0.82, 0.64, 0.24))
    letter = "ABDEHMPRSU"[int(rng.integers(10))]
    stencil = Stencil(shape)
    for stroke in text(letter, 0.66 * side):
        stencil.line(turned(stroke, x + 0.5 * side, y + 0.5 * side, 0), 0.13 * side)
    page = over(page, stencil.alpha(), (0.92, 0.82, 0.52))
    tendril = Stencil(shape)
    t = np.linspace(0, 1, 60)
    swing = x - 0.22 * side + 0.12 * side * np.sin(9 * t)
    vine = np.stack([swing, y + t * min(3.2 * side, shape[0] - y - 0.3 * side)], axis=1)
    tendril.line(vine, 0.05 * side)
    for x_leaf, y_leaf in vine[4::7]:
        tendril.disc(x_leaf + 0.1 * side, y_leaf, 0.09 * side)
    return over(page, tendril.alpha(), field)


def manuscript(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Parchment leaf of ruled text with an illuminated initial, one or two columns."""
    h, w = shape
    page = parchment(shape, rng)
    bare = page
    pitch = max(0.052 * h, 4.0) * pick(rng, 0.9, 1.15)
    left, right, top, bottom = 0.17 * w, 0.89 * w, 0.09 * h, 0.90 * h
    side = 4 * pitch
    page = _script(page, (left + side + 0.6 * pitch, top, right, top + side), pitch, rng)
    page = _script(page, (left, top + side, right, bottom), pitch, rng)
    page = _initial(page, left, top + 0.4 * pitch, side - 0.3 * pitch, rng)
    for _ in range(4):  # rubrics: a word here and there in red
        y, x = top + side + pitch * int(rng.integers(1, 8)), pick(rng, left, 0.7 * w)
        red = Stencil(shape).polygon(_box(x, y - 0.55 * pitch, x + 2 * pitch, y)).alpha()
        dark = smoothstep(0.75, 0.45, gray(page))
        page = over(page, red * dark, (0.66, 0.14, 0.10))
    return Artwork("Manuscript", page, bare, bare, ("full", "torn", "panel"))


def miniature(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Parchment leaf with a framed miniature in bright colors above lines of text."""
    h, w = shape
    page = parchment(shape, rng)
    bare = page
    ph, pw, top, left = int(0.60 * h), int(0.70 * w), int(0.08 * h), int(0.15 * w)
    picture = saturated(one_of(rng, saint, landscape, bird)((ph, pw), rng), 1.25)
    page = _inset(page, brushwork(picture, 2.0, rng, 0.4), top, left)
    frame = _box(left, top, left + pw, top + ph)
    s = min(h, w)
    for color, width in (((0.50, 0.14, 0.12), 0.046), ((0.84, 0.66, 0.28), 0.028)):
        page = over(page, Stencil(shape).line(frame, width * s, True).alpha(), color)
    for x, y in frame:
        page = over(page, Stencil(shape).disc(x, y, 0.036 * s).alpha(), (0.17, 0.27, 0.52))
    pitch = max(0.05 * h, 4.0)
    page = _script(page, (left, top + ph + 0.3 * pitch, left + pw, 0.93 * h), pitch, rng)
    return Artwork("Manuscript miniature", page, bare, bare, ("full", "torn", "panel"))


def watercolor(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Transparent washes on paper with a bare margin."""
    h, w = shape
    u = unit_of(shape)
    sheet = paper(shape, rng)
    picture = one_of(rng, landscape, bird, bouquet, still_life)(shape, rng)
    wash = 0.35 + 0.65 * brushwork(blur(picture, 0.8 * u), 6.0, rng, 0.3)
    granules = (
        0.94 + 0.10 * value_noise(shape, 2.0 * u, rng) + 0.08 * (fbm(shape, 20 * u, rng) - 0.5)
    )
    m = 0.06 * min(h, w)
    area = blur(Stencil(shape).polygon(_box(m, m, w - m, h - m)).alpha(), 0.6 * u)
    painted = over(sheet, area, clip(sheet * wash * granules[..., None] * np.float32(1.05)))
    return Artwork("Watercolor", painted, sheet, sheet, ("panel", "torn", "full"))


def drawing(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Engraving or pen drawing: contours and hatching within a plate line."""
    h, w = shape
    s = min(h, w)
    sheet = paper(shape, rng)
    ph, pw = int(0.80 * h), int(0.84 * w)
    top, left = int(0.07 * h), int(0.08 * w)
    ink = np.zeros(shape, np.float32)
    picture = one_of(rng, landscape, portrait, still_life, bird)((ph, pw), rng)
    ink[top : top + ph, left : left + pw] = engraved(picture, rng)
    border = Stencil(shape).line(_box(left, top, left + pw, top + ph), 0.008 * s, True).alpha()
    title = Stencil(shape)
    for stroke in handwriting(0.3 * w, 0.03 * h, rng):
        title.line(stroke + np.array((0.34 * w, 0.945 * h)), max(0.006 * s, 0.6))
    tone = choose(rng, ((0.16, 0.13, 0.11), (0.32, 0.19, 0.12)))
    printed = over(sheet, clip(np.maximum(0.9 * ink, np.maximum(border, title.alpha()))), tone)
    return Artwork("Engraving", printed, sheet, sheet, ("panel", "torn", "full"))


def wallpaper(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Printed pattern on paper, the blocks a little out of register."""
    u = unit_of(shape)
    sheet = paper(shape, rng)
    pattern = one_of(rng, tiles, rosette)(shape, rng)
    worn = 0.78 - 0.4 * smoothstep(0.55, 0.9, fbm(shape, 12 * u, rng, 4, 0.7))
    printed = over(sheet, worn, pattern * (0.94 + 0.08 * value_noise(shape, 2 * u, rng))[..., None])
    return Artwork("Printed pattern", clip(printed), sheet, sheet, ("full", "torn", "panel"))


def _lit_scene(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A scene as a camera sees it: (H, W) tones, soft focus, fall-off, no pure black or white."""
    scene = blur(
        one_of(rng, portrait, landscape, portrait, still_life)(shape, rng), 0.7 * unit_of(shape)
    )
    tones = gray(scene) * vignette(shape, 0.45)
    low, high = np.float32(tones.min()), np.float32(tones.max())
    return clip(0.06 + 0.86 * ((tones - low) / (high - low)) ** np.float32(0.85))


def _grain(shape: Shape, strength: float, rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal(shape).astype(np.float32)
    return strength * (0.5 * noise + blur(noise, max(0.6 * unit_of(shape), 0.4)))


def photograph(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Sepia or silver print, often with a white border."""
    h, w = shape
    tones = clip(_lit_scene(shape, rng) + _grain(shape, 0.025, rng))
    shadow, light = (
        ((0.16, 0.09, 0.05), (0.93, 0.84, 0.68))
        if rng.random() < 0.6
        else ((0.07, 0.07, 0.08), (0.90, 0.89, 0.86))
    )
    a, b = np.asarray(shadow, np.float32), np.asarray(light, np.float32)
    print_ = a + tones[..., None] * (b - a)
    sheet = ground_layer(shape, (0.90, 0.86, 0.77), rng)
    if rng.random() < 0.6:
        m = 0.05 * min(h, w)
        area = Stencil(shape).polygon(_box(m, m, w - m, h - m)).alpha()
        print_ = over(sheet, area, print_)
    return Artwork("Photograph", clip(print_), sheet, sheet, ("panel", "full", "torn"))


def glass_negative(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Gelatine dry plate on a light table: tones inverted, clear uneven rim."""
    u = unit_of(shape)
    tones = stretch(1.0 - _lit_scene(shape, rng))
    cold = np.array((0.86, 0.92, 0.95), np.float32)
    density = clip((0.06 + 0.80 * tones + _grain(shape, 0.012, rng))[..., None] * cold)
    ys, xs = grid(shape)
    rim = np.minimum(np.minimum(xs, shape[1] - xs), np.minimum(ys, shape[0] - ys))
    coated = smoothstep(2 * u, 5 * u, rim - 4 * u - 8 * u * fbm(shape, 18 * u, rng))
    clear = ground_layer(shape, (0.80, 0.84, 0.84), rng)
    plate = over(clear, coated, density)
    return Artwork("Glass negative", plate, clear, clear, ("panel", "full"))


def stained_glass(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Colored panes in lead, details in dark enamel, light coming through."""
    u = unit_of(shape)
    picture = saturated(one_of(rng, saint, bird, landscape)(shape, rng), 1.9)
    ys, xs = warped(shape, 10 * u, 40 * u, rng)
    panes = Cells(ys, xs, 30 * u, 0.75, rng)
    ink = 0.7 * smoothstep(0.25, 0.6, np.abs(picture - blur(picture, 2 * u)).sum(axis=-1))
    glow = 0.72 + 0.45 * fbm(shape, 50 * u, rng) + 0.10 * value_noise(shape, (3 * u, 12 * u), rng)
    hue = 0.86 + 0.28 * rng.random((len(panes.centers), 3))
    lit = clip(picture * glow[..., None] * hue[panes.index].astype(np.float32) * np.float32(1.05))
    lit = over(lit, ink, (0.10, 0.07, 0.06))
    lead = smoothstep(2.1 * u + 0.4, 1.3 * u - 0.4, panes.edge)
    metal = shaded(flat(shape, (0.17, 0.17, 0.18)), 0.8 + 0.8 * smoothstep(2 * u, 0, panes.edge))
    window = over(lit, lead, metal)
    clear = ground_layer(shape, (0.86, 0.88, 0.86), rng)
    return Artwork("Stained glass", window, clear, clear, ("full", "panel", "arch"))


def film_frame(shape: Shape, rng: np.random.Generator) -> Artwork:
    """Color motion picture frame: dye cast, grain, sometimes its perforations."""
    u = unit_of(shape)
    scene = blur(one_of(rng, landscape, portrait, still_life)(shape, rng), 0.7 * u)
    casts = ((1.06, 0.92, 0.86), (0.90, 1.0, 0.98), (1.05, 0.98, 0.78), (1.08, 0.82, 0.90))
    cast = np.asarray(choose(rng, casts), np.float32)
    frame = clip(saturated(scene, 0.85) * cast * vignette(shape, 0.4)[..., None])
    frame = clip(frame + _grain(shape, 0.035, rng)[..., None])
    if rng.random() < 0.6:
        frame = _with_perforations(frame)
    dye = ground_layer(shape, (0.74, 0.70, 0.50), rng)
    base = ground_layer(shape, (0.90, 0.87, 0.74), rng)
    return Artwork("Film frame", frame, dye, base, ("full", "full", "panel"))


def _with_perforations(frame: FloatArray) -> FloatArray:
    """Adds the black margins and bright sprocket holes on both sides."""
    h, w = frame.shape[:2]
    margin = Stencil((h, w))
    holes = Stencil((h, w))
    for x0, x1 in ((-5.0, 0.12 * w), (0.88 * w, w + 5.0)):
        margin.polygon(_box(x0, -5, x1, h + 5))
        middle = 0.058 * w if x0 < 0 else 0.942 * w
        for i in range(5):
            y = (i + 0.5) * h / 5
            holes.polygon(_box(middle - 0.028 * w, y - 0.04 * h, middle + 0.028 * w, y + 0.04 * h))
    for y in (0.0, float(h)):
        margin.line(points((0, y), (w, y)), 0.035 * h)
    return over(over(frame, margin.alpha(), (0.05, 0.045, 0.04)), holes.alpha(), (0.92, 0.91, 0.88))
