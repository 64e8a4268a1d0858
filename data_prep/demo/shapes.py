"""The shapes that show genres on the posters of the demo corpus.

Each function draws one shape in its place, varied a little, and returns the box that it fills, in
pixels of the canvas (which may reach over the canvas's edges).
"""

import math
import random
from typing import Final

from PIL import ImageDraw

WIDTH: Final = 308
HEIGHT: Final = 462
"""The canvas, in pixels."""

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def blood(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Horror: blood runs from the upper edge."""
    colour = jitter((112, 4, 10), 10, rng)
    depth = rng.uniform(0.07, 0.1) * HEIGHT
    draw.rectangle((0, 0, WIDTH, depth), fill=colour)
    lowest, x = depth, rng.uniform(-10, 4)
    while x < WIDTH:
        wide, low = rng.uniform(12, 26), depth + rng.uniform(4, 0.13 * HEIGHT)
        draw.rectangle((x, depth, x + wide, low), fill=colour)
        draw.ellipse((x, low - wide / 2, x + wide, low + wide / 2), fill=colour)
        lowest = max(lowest, low + wide / 2)
        x += wide + rng.uniform(3, 20)
    return 0, 0, WIDTH, lowest


def balloons(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Family: a bunch of balloons on the left."""
    cx, cy = rng.uniform(0.24, 0.3) * WIDTH, rng.uniform(0.36, 0.42) * HEIGHT
    knot = (cx + rng.uniform(-8, 8), cy + 92)
    colours = [(236, 40, 60), (30, 160, 74), (255, 216, 20), (34, 96, 226), (240, 90, 190)]
    rng.shuffle(colours)
    xs, ys = [], []
    for colour, (dx, dy) in zip(
        colours, ((-30, 6), (30, 4), (-16, -32), (18, -34), (0, -6)), strict=True
    ):
        x, y, r = cx + dx + rng.uniform(-4, 4), cy + dy + rng.uniform(-4, 4), rng.uniform(19, 24)
        draw.line((x, y + r, *knot), fill=(60, 60, 60), width=1)
        draw.ellipse((x - r, y - r * 1.2, x + r, y + r * 1.2), fill=colour)
        draw.ellipse((x - r * 0.5, y - r * 0.8, x - r * 0.1, y - r * 0.3), fill=(255, 255, 255))
        xs += [x - r, x + r]
        ys += [y - r * 1.2, y + r * 1.2]
    return min(xs), min(ys), max(xs), knot[1]


def floating_castle(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Fantasy: a violet castle on a rock in the sky."""
    cx, y = rng.uniform(0.48, 0.54) * WIDTH, rng.uniform(0.36, 0.42) * HEIGHT
    s = rng.uniform(0.9, 1.1)
    wall, roof = jitter((150, 60, 190), 14, rng), jitter((96, 20, 140), 12, rng)
    draw.polygon([(cx - 46 * s, y), (cx + 46 * s, y), (cx + 8 * s, y + 40 * s)], fill=roof)
    for dx, wide, tall in ((-30, 9, 44), (30, 9, 38), (0, 13, 64), (-15, 8, 30), (16, 8, 26)):
        x, w, top = cx + dx * s, wide * s, y - tall * s
        draw.rectangle((x - w, top, x + w, y), fill=wall)
        draw.polygon([(x - w * 1.3, top), (x + w * 1.3, top), (x, top - 26 * s)], fill=roof)
        draw.rectangle((x - 2, top + 8 * s, x + 2, top + 15 * s), fill=(255, 236, 150))
    return cx - 46 * s, y - 90 * s, cx + 46 * s, y + 40 * s


def ringed_planet(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Science Fiction: a green planet with a ring on the right."""
    cx, cy = rng.uniform(0.75, 0.8) * WIDTH, rng.uniform(0.28, 0.33) * HEIGHT
    r = rng.uniform(34, 42)
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=jitter((10, 176, 150), 12, rng))
    for dy in (-0.45, 0.05, 0.5):
        half = r * math.sqrt(1 - dy * dy) * 0.96
        draw.line((cx - half, cy + dy * r, cx + half, cy + dy * r), fill=(6, 110, 104), width=6)
    ring = (cx - r * 1.6, cy - r * 0.42, cx + r * 1.6, cy + r * 0.42)
    draw.arc(ring, -12, 192, fill=(232, 255, 246), width=7)
    return cx - r * 1.6, cy - r, min(cx + r * 1.6, WIDTH), cy + r


def mesas(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Western: red mesas and a cactus on the left."""
    base, s = 0.71 * HEIGHT, rng.uniform(1.05, 1.25)
    rock, dark = jitter((196, 84, 34), 12, rng), jitter((150, 54, 22), 10, rng)
    x = rng.uniform(-10, 8)
    draw.rectangle((0, base - 22 * s, 0.42 * WIDTH, base), fill=rock)
    for dx, wide, tall, colour in ((0, 46, 92, rock), (58, 40, 70, dark)):
        left, top = x + dx * s, base - tall * s
        draw.polygon(
            [
                (left - 8, base),
                (left, top),
                (left + wide * s, top),
                (left + wide * s + 8, base),
            ],
            fill=colour,
        )
    cactus, foot = x + 118 * s, base + 12
    for box in (
        (-5, -62, 5, 0),
        (-20, -46, -12, -28),
        (-20, -34, 0, -26),
        (12, -52, 20, -32),
        (0, -38, 20, -30),
    ):
        left, top, right, bottom = (edge * s for edge in box)
        draw.rounded_rectangle(
            (cactus + left, foot + top, cactus + right, foot + bottom), 4, fill=(28, 96, 44)
        )
    return 0, base - 92 * s, max(0.42 * WIDTH, cactus + 20 * s), foot


def explosion(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Action: an explosion behind the hero, to the right."""
    cx, cy, size = (
        rng.uniform(0.62, 0.7) * WIDTH,
        rng.uniform(0.56, 0.6) * HEIGHT,
        rng.uniform(60, 72),
    )
    turn, xs, ys = rng.uniform(0, 1), [], []
    for share, colour in ((1.0, (240, 70, 10)), (0.72, (255, 160, 10)), (0.42, (255, 244, 150))):
        points = []
        for spike in range(24):
            r = size * share * (1.0 if spike % 2 else 0.62) * rng.uniform(0.88, 1.0)
            angle = turn + spike * math.tau / 24
            points.append((cx + r * math.cos(angle), cy + r * math.sin(angle)))
        draw.polygon(points, fill=colour)
        xs += [x for x, _ in points]
        ys += [y for _, y in points]
    return min(xs), min(ys), max(xs), min(max(ys), 0.72 * HEIGHT)


def tank(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """War: a tank drives in from the right, under smoke."""
    x, y, s = rng.uniform(0.66, 0.7) * WIDTH, 0.79 * HEIGHT, rng.uniform(0.95, 1.1)
    body, dark = jitter((142, 152, 70), 8, rng), (46, 50, 24)
    for puff in range(4):
        r, cx = (15 + 4 * puff) * s, x + (46 + 8 * puff) * s
        cy = y - (58 + 24 * puff) * s
        shade = 66 + 12 * puff
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(shade, shade, shade))
    draw.rounded_rectangle((x - 8 * s, y - 22 * s, x + 96 * s, y), 11 * s, fill=dark)
    for wheel in range(5):
        cx = x + (6 + 20 * wheel) * s
        draw.ellipse((cx - 8 * s, y - 19 * s, cx + 8 * s, y - 3 * s), fill=body)
    draw.polygon(
        [(x, y - 38 * s), (x + 90 * s, y - 38 * s), (x + 98 * s, y - 20 * s), (x - 10, y - 20 * s)],
        fill=body,
    )
    draw.rounded_rectangle((x + 26 * s, y - 58 * s, x + 70 * s, y - 36 * s), 6, fill=body)
    draw.line((x + 30 * s, y - 50 * s, x - 36 * s, y - 60 * s), fill=body, width=8)
    return x - 40 * s, y - 165 * s, min(x + 98 * s, WIDTH), y


def cartoon(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Animation: a round, green cartoon creature takes the hero's place."""
    cx, foot, s = rng.uniform(0.48, 0.54) * WIDTH, 0.78 * HEIGHT, rng.uniform(0.95, 1.1)
    skin, belly = jitter((120, 220, 40), 14, rng), (226, 250, 190)
    draw.ellipse((cx - 40 * s, foot - 84 * s, cx + 40 * s, foot), fill=skin)
    draw.ellipse((cx - 24 * s, foot - 52 * s, cx + 24 * s, foot - 6 * s), fill=belly)
    draw.ellipse((cx - 46 * s, foot - 146 * s, cx + 46 * s, foot - 62 * s), fill=skin)
    for side in (-1, 1):
        x, y = cx + side * 20 * s, foot - 112 * s
        draw.ellipse((x - 17 * s, y - 20 * s, x + 17 * s, y + 20 * s), fill=(255, 255, 255))
        px = x - side * 4 * s
        draw.ellipse((px - 7 * s, y - 6 * s, px + 7 * s, y + 12 * s), fill=(20, 20, 24))
        ear = cx + side * 38 * s
        draw.ellipse((ear - 13, foot - 160 * s, ear + 13, foot - 128 * s), fill=skin)
    draw.chord((cx - 20 * s, foot - 96 * s, cx + 20 * s, foot - 70 * s), 0, 180, fill=(170, 30, 50))
    return cx - 52 * s, foot - 160 * s, cx + 52 * s, foot


def torn_strip(draw: ImageDraw.ImageDraw, rng: random.Random) -> Box:
    """Thriller: a torn strip of black and red along the left edge."""
    wide, step = rng.uniform(0.12, 0.15) * WIDTH, 22
    top, bottom = 0.0, 0.83 * HEIGHT
    edge = [(wide + rng.uniform(-7, 7), y) for y in range(int(top), int(bottom), step)]
    draw.polygon([(0, top), *edge, (0, bottom)], fill=(16, 14, 18))
    y = rng.uniform(0, step)
    while y < bottom - 2 * step:
        draw.polygon(
            [(0, y + step), (wide * 0.8, y), (wide * 0.8, y + step), (0, y + 2 * step)],
            fill=(226, 16, 40),
        )
        y += 2 * step
    return 0, top, max(x for x, _ in edge), bottom


def jitter(colour: Colour, amount: int, rng: random.Random) -> Colour:
    """Moves each channel of `colour` by at most `amount`."""
    red, green, blue = (
        min(max(channel + rng.randint(-amount, amount), 0), 255) for channel in colour
    )
    return red, green, blue
