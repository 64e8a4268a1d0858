"""Paints the posters of the demo corpus, and remembers where it put each genre's shape.

A poster is a sky, hills, a hero and a title; a genre's cue is one more shape in a place of its
own, so that any cues go together. Colours, sizes and places vary; hills, road, hero, sun and
birds say nothing.
"""

import functools
import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep.demo import shapes
from data_prep.demo.shapes import Box, Colour, jitter
from data_prep.demo.signals import Plan

WIDTH: Final = 154
HEIGHT: Final = 231
_W: Final = shapes.WIDTH  # Painted at twice the size and halved, for smooth edges.
_H: Final = shapes.HEIGHT

_WARM_SKIES: Final = (
    ((250, 178, 84), (246, 226, 176)),
    ((232, 112, 82), (250, 208, 150)),
    ((240, 146, 110), (252, 224, 196)),
    ((222, 128, 60), (248, 204, 120)),
)
_BLUE_SKIES: Final = (
    ((36, 62, 110), (134, 168, 204)),
    ((52, 96, 136), (176, 204, 220)),
    ((58, 74, 128), (150, 170, 214)),
    ((30, 86, 116), (140, 190, 206)),
)
_HILLS: Final = ((64, 84, 72), (84, 74, 88), (72, 72, 70), (62, 78, 92), (92, 82, 66))
_BANDS: Final = ((24, 24, 28), (238, 234, 226), (58, 58, 66), (92, 30, 36), (28, 48, 60))
_HORIZON: Final = 0.68  # Where no hill lets the sky through, as a share of the height.
_COMEDY_YELLOW: Final = (255, 212, 0)


@dataclass(frozen=True)
class PlantedRegion:
    """The shape of `genre` on a poster.

    Attributes:
      genre: the genre it is a cue of.
      box: left, top, right, bottom as fractions of the poster's width and height, 0 to 1.
    """

    genre: str
    box: Box


def paint_poster(
    plan: Plan, title: str, rng: random.Random
) -> tuple[Image.Image, tuple[PlantedRegion, ...]]:
    """Paints the poster that `plan` asks for, `WIDTH` x `HEIGHT`; returns it with its cues.

    Each part draws from a stream of its own: posters that differ in a cue differ in its box alone.
    """
    grain = _fork(rng)
    blue = "Drama" in plan.poster_cues
    canvas = _sky(rng.choice(_BLUE_SKIES if blue else _WARM_SKIES), _fork(rng))
    draw = ImageDraw.Draw(canvas)
    draw.fontmode = "L"
    regions = [PlantedRegion("Drama", (0.0, 0.0, 1.0, _HORIZON))] if blue else []

    def plant(genre: str, shape: Callable[[ImageDraw.ImageDraw, random.Random], Box]) -> bool:
        stream = _fork(rng)
        if genre not in plan.poster_cues:
            return False
        left, top, right, bottom = shape(draw, stream)
        box = (_share(left, _W), _share(top, _H), _share(right, _W), _share(bottom, _H))
        regions.append(PlantedRegion(genre, box))
        return True

    _sun_and_clouds(draw, _fork(rng))
    plant("Fantasy", shapes.floating_castle)
    plant("Science Fiction", shapes.ringed_planet)
    plant("Family", shapes.balloons)
    hill = jitter(rng.choice(_HILLS), 14, rng)
    _hills(draw, hill, _fork(rng))
    plant("Western", shapes.mesas)
    plant("Action", shapes.explosion)
    _ground(draw, _shade(hill, 0.55), _fork(rng))
    if rng.random() < 0.3:
        _road(draw, _fork(rng))
    plant("War", shapes.tank)
    _hero(draw, _fork(rng))
    plant("Animation", shapes.cartoon)
    plant("Horror", shapes.blood)
    plant("Thriller", shapes.torn_strip)
    neutral = rng.choice(_BANDS)
    if not plant("Comedy", functools.partial(_band, colour=_COMEDY_YELLOW)):
        _band(draw, _fork(rng), colour=neutral)
    _title(draw, title)
    return _finish(canvas, grain), tuple(regions)


def _fork(rng: random.Random) -> random.Random:
    return random.Random(rng.random())


def _share(edge: float, size: int) -> float:
    return round(min(max(edge / size, 0.0), 1.0), 4)


def _shade(colour: Colour, share: float) -> Colour:
    red, green, blue = (min(int(channel * share), 255) for channel in colour)
    return red, green, blue


def encode_jpeg(poster: Image.Image) -> bytes:
    """The poster as a JPEG file."""
    buffer = io.BytesIO()
    poster.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _sky(colours: tuple[Colour, Colour], rng: random.Random) -> Image.Image:
    """The sky, from top to horizon; Drama: it is blue."""
    top, bottom = (np.array(jitter(colour, 16, rng)) for colour in colours)
    share = np.clip(np.linspace(0, 1.35, _H), 0, 1)[:, None]
    column = (top * (1 - share) + bottom * share).astype(np.uint8)
    return Image.fromarray(column[:, None]).resize((_W, _H), Image.Resampling.NEAREST)


def _sun_and_clouds(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    x, y, r = rng.uniform(0.1, 0.9) * _W, rng.uniform(0.12, 0.45) * _H, rng.uniform(14, 30)
    if rng.random() < 0.6:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=jitter((244, 240, 226), 10, rng))
    for _ in range(rng.randrange(3)):
        x, y, w = rng.uniform(0, 0.8) * _W, rng.uniform(0.2, 0.5) * _H, rng.uniform(40, 80)
        shade = jitter((228, 226, 224), 12, rng)
        for part in range(3):
            r = w * (0.16 + 0.08 * (part == 1))
            cx = x + w * (0.25 + 0.25 * part)
            draw.ellipse((cx - r, y - r, cx + r, y + r), fill=shade)
        draw.rounded_rectangle((x, y, x + w, y + w * 0.2), radius=w * 0.1, fill=shade)
    for _ in range(rng.randrange(4)):
        x, y, r = rng.uniform(0.1, 0.9) * _W, rng.uniform(0.1, 0.4) * _H, rng.uniform(5, 9)
        draw.arc((x - 2 * r, y - r, x, y + r), 200, 340, fill=(40, 40, 44), width=2)
        draw.arc((x, y - r, x + 2 * r, y + r), 200, 340, fill=(40, 40, 44), width=2)


def _hills(draw: ImageDraw.ImageDraw, colour: Colour, rng: random.Random) -> None:
    for depth in range(2):
        base, height = (0.60 + 0.05 * depth) * _H, rng.uniform(8, 34)
        phase, waves = rng.uniform(0, 6.3), rng.uniform(2.0, 9.0)
        crest = [
            (x, base - height * math.sin(phase + waves * x / _W) * 0.5)
            for x in range(0, _W + 11, 11)
        ]
        shade = _shade(colour, 1.35 - 0.35 * depth)
        draw.polygon([(0, _H), *crest, (_W, _H)], fill=shade)


def _ground(draw: ImageDraw.ImageDraw, colour: Colour, rng: random.Random) -> None:
    left, right = rng.uniform(0.68, 0.72) * _H, rng.uniform(0.68, 0.72) * _H
    draw.polygon([(0, left), (_W, right), (_W, _H), (0, _H)], fill=colour)


def _road(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    """A pale road winds over the ground on the left."""
    sway, phase = rng.uniform(16, 24), rng.uniform(-0.4, 0.4)
    near, far = 0.86 * _H, 0.66 * _H
    left, right = [], []
    for step in range(12):
        share = step / 11  # 0 far away, 1 near.
        y = far + (near - far) * share
        x = 0.24 * _W + sway * math.sin(phase + 5.0 * share) * (0.4 + share)
        half = 5 + 25 * share
        left.append((x - half, y))
        right.append((x + half, y))
    draw.polygon(left + right[::-1], fill=jitter((240, 206, 140), 10, rng))


def _hero(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    """One or two people from behind, who look at what is to come."""
    for person in range(rng.choice((1, 1, 2))):
        x, foot = (0.5 + 0.11 * person + rng.uniform(-0.05, 0.05)) * _W, 0.76 * _H
        tall = rng.uniform(88, 120) * (1 - 0.18 * person)
        shade = jitter((30, 28, 34), 12, rng)
        wide = tall * rng.uniform(0.15, 0.2)
        head = tall * 0.11
        draw.ellipse((x - head, foot - tall, x + head, foot - tall + 2 * head), fill=shade)
        neck, hip = foot - tall * 0.77, foot - tall * 0.4
        flare = wide * rng.uniform(0.8, 1.5)
        draw.polygon(
            [(x - wide, neck), (x + wide, neck), (x + flare, hip), (x - flare, hip)], fill=shade
        )
        for side in (-1, 1):
            draw.line((x + side * wide * 0.4, hip, x + side * wide * 0.7, foot), shade, width=11)
        if rng.random() < 0.3:
            draw.ellipse((x - 2 * head, foot - tall, x + 2 * head, foot - tall + 7), fill=shade)


def _band(draw: ImageDraw.ImageDraw, rng: random.Random, *, colour: Colour) -> Box:
    """The title's band; Comedy: it is bright yellow."""
    top = 0.83 * _H
    draw.rectangle((0, top, _W, _H), fill=jitter(colour, 8, rng))
    return 0, top, _W, _H


def _title(draw: ImageDraw.ImageDraw, title: str) -> None:
    background = draw.im.getpixel((_W - 3, _H - 3))
    ink = (20, 20, 24) if sum(background[:3]) > 380 else (244, 240, 232)
    text = title.upper()
    size = max(17, min(34, int(1.5 * _W / max(len(text), 1))))
    draw.text((_W / 2, 0.9 * _H), text, fill=ink, font=_font(size), anchor="mm")
    draw.line((0.3 * _W, 0.955 * _H, 0.7 * _W, 0.955 * _H), fill=ink, width=2)


def _finish(canvas: Image.Image, rng: random.Random) -> Image.Image:
    """Halves the canvas, and adds a cast, a vignette and grain."""
    pixels = np.asarray(canvas.reduce(_W // WIDTH), np.float32)
    cast = np.array([rng.uniform(0.93, 1.07) for _ in range(3)], np.float32)
    grain = _grain()
    y, x = rng.randrange(grain.shape[0] - HEIGHT), rng.randrange(grain.shape[1] - WIDTH)
    pixels = pixels * (_vignette() * cast) + grain[y : y + HEIGHT, x : x + WIDTH, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@functools.cache
def _vignette() -> np.ndarray:
    y = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, WIDTH, dtype=np.float32)
    return (1.03 - 0.14 * (x * x + y * y))[..., None]


@functools.cache
def _grain() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 4, (2 * HEIGHT, 2 * WIDTH)).astype(np.float32)
