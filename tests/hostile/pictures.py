"""Small pictures that want all memory or all time, and damaged ones: the same at each run.

Each maker returns the bytes of one file. Most are put together by hand, since no program that
writes pictures would write these.
"""

import functools
import gzip
import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

_MIB = 1 << 20


# ------------------------------------------------------------------- ordinary parts


@functools.cache
def photo(width: int = 300, height: int = 450) -> Image.Image:
    """Soft shapes and a little noise."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 6, 3), np.uint8))
    pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(pixels + rng.integers(-9, 9, pixels.shape), 0, 255).astype("u1"))


def file(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    """An ordinary file of a kind."""
    out = io.BytesIO()
    (image or photo()).save(out, kind, **options)
    return out.getvalue()


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + crc(kind + payload)


def crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def with_jpeg_segments(*segments: bytes, jpeg: bytes = b"") -> bytes:
    jpeg = jpeg or file("JPEG", quality=85)
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_png_chunks(*chunks: bytes, png: bytes = b"") -> bytes:
    """Puts chunks behind the header."""
    png = png or file("PNG")
    return png[:33] + b"".join(chunks) + png[33:]


def with_webp_chunk(kind: bytes, payload: bytes, flag: int) -> bytes:
    simple = file("WEBP", quality=80)
    extended = struct.pack("<4sIB3x", b"VP8X", 10, flag) + _size24(300) + _size24(450)
    tail = struct.pack("<4sI", kind, len(payload)) + payload + b"\0" * (len(payload) % 2)
    body = b"WEBP" + extended + simple[12:] + tail
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _size24(value: int) -> bytes:
    return struct.pack("<I", value - 1)[:3]


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *, interlace: int = 0
) -> bytes:
    """A PNG of compressed rows, whatever they are."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + (png_chunk(b"PLTE", bytes(range(96)) * 8) if colour == 3 else b"")
        + (png_chunk(b"tRNS", bytes(256)) if colour == 3 else b"")
        + png_chunk(b"IDAT", rows)
        + png_chunk(b"IEND", b"")
    )


def zeros(count: int) -> bytes:
    """So many zeros, compressed."""
    packer, parts = zlib.compressobj(9), []
    block = bytes(_MIB)
    for _ in range(count // _MIB):
        parts.append(packer.compress(block))
    parts.append(packer.compress(bytes(count % _MIB)))
    return b"".join([*parts, packer.flush()])


def exif_bomb(num_tags: int = 60_000, block: int = 65_000) -> bytes:
    """A directory whose tags all point at one block: read whole, each copies it."""
    entries = b"".join(
        struct.pack("<HHII", 0x1000 + number % 0xE000, 7, block, 8) for number in range(num_tags)
    )
    start = 8 + block
    head = b"II*\0" + struct.pack("<I", start) + bytes(block)
    return head + struct.pack("<H", num_tags) + entries + bytes(4)


# ------------------------------------------------------------------------ all memory


def bmp(width: int, height: int, bits: int, compression: int, body: bytes) -> bytes:
    palette = bytes(range(256)) * 4 if bits <= 8 else b""
    start = 54 + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII",
        40,
        width,
        height,
        1,
        bits,
        compression,
        len(body),
        0,
        0,
        len(palette) // 4,
        0,
    )
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + palette + body


def run_length_bmp() -> bytes:
    """1,084 bytes: one row of 64 million pixels, and a move 255 rows up."""
    return bmp(64_000_000, 1, 8, 1, b"\0\2\xff\xff\0\1")


def run_length_bmp_moves() -> bytes:
    """Each move of four bytes makes two million pixels, behind the end of the picture as well."""
    return bmp(8_000, 8_000, 8, 1, b"\0\2\xff\xff" * 5_000)


def jpeg_exif_bomb() -> bytes:
    bomb = exif_bomb()
    parts = [bomb[start : start + 65_000] for start in range(0, len(bomb), 65_000)]
    return with_jpeg_segments(*(jpeg_segment(0xE1, b"Exif\0\0" + part) for part in parts))


def png_exif_bomb() -> bytes:
    return with_png_chunks(png_chunk(b"eXIf", exif_bomb()))


def webp_exif_bomb() -> bytes:
    return with_webp_chunk(b"EXIF", exif_bomb(), 0x08)


def png_raw_profile_bomb() -> bytes:
    """EXIF as ImageMagick hides it: hexadecimal, compressed, in a text."""
    text = ("\nexif\n 8\n" + exif_bomb(20_000).hex()).encode()[:1_000_000]
    chunk = b"Raw profile type exif\0\0" + zlib.compress(text)
    return with_png_chunks(png_chunk(b"zTXt", chunk))


def tiff_bomb() -> bytes:
    return exif_bomb()


def deep_grey_png() -> bytes:
    """124 kB: 64 million pixels of 16 bits."""
    return png(8_000, 8_000, 16, 0, zeros(8_000 * 16_001))


def clear_png() -> bytes:
    """64 million pixels with transparency."""
    return png(8_000, 8_000, 8, 6, zeros(8_000 * 32_001))


def deep_clear_png() -> bytes:
    return png(7_900, 8_100, 16, 6, zeros(8_100 * (8 * 7_900 + 1)))


def palette_png() -> bytes:
    return png(8_000, 8_000, 8, 3, zeros(8_000 * 8_001))


def interlaced_png() -> bytes:
    return png(8_000, 8_000, 8, 2, zeros(8_000 * 24_010 + 100_000), interlace=1)


def one_row_png() -> bytes:
    return png(64_000_000, 1, 8, 2, zeros(3 * 64_000_000 + 1))


def one_column_png() -> bytes:
    return png(1, 60_000_000, 8, 2, zeros(4 * 60_000_000))


def endless_png() -> bytes:
    """A picture of 100 x 100 whose data would unfold into 4 GB."""
    return png(100, 100, 8, 2, zeros(4 << 30))


def text_bomb_png() -> bytes:
    """Texts of 64 MB each, compressed."""
    chunk = png_chunk(b"zTXt", b"Comment\0\0" + zeros(64 * _MIB))
    return with_png_chunks(*[chunk] * 60)


def international_text_bomb_png() -> bytes:
    chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros(64 * _MIB))
    return with_png_chunks(*[chunk] * 60)


def profile_bomb_png() -> bytes:
    return with_png_chunks(png_chunk(b"iCCP", b"x\0\0" + zeros(900 * _MIB)))


def large_canvas_webp() -> bytes:
    """A header that claims 16,383 x 3,900 for a picture of 300 x 450."""
    data = bytearray(with_webp_chunk(b"EXIF", b"", 0x08))
    data[24:30] = _size24(16_383) + _size24(3_900)
    return bytes(data)


def largest_webp() -> bytes:
    """63.9 million pixels, legal."""
    return file("WEBP", Image.new("RGB", (16_383, 3_900)), quality=1, method=0)


def largest_lossless_webp() -> bytes:
    return file("WEBP", Image.new("RGBA", (16_383, 3_900)), lossless=True, method=0, quality=0)


def large_screen_gif() -> bytes:
    """A screen of 8,000 x 8,000 around a frame of 120 x 180."""
    data = bytearray(file("GIF", photo().quantize(16)))
    data[6:10] = struct.pack("<HH", 8_000, 8_000)
    return bytes(data)


def largest_gif() -> bytes:
    return file("GIF", Image.new("P", (8_000, 8_000)))


def frame_beyond_screen_gif() -> bytes:
    """A frame that enlarges the screen to 65,535 x 65,535."""
    data = bytearray(file("GIF", photo().quantize(16)))
    place = data.index(b",", 13 + 48)
    data[place + 1 : place + 9] = struct.pack("<HHHH", 30_000, 30_000, 35_535, 35_535)
    return bytes(data)


def one_bit_bmp() -> bytes:
    """8 MB that unfold into 64 million pixels."""
    return bmp(8_000, 8_000, 1, 0, bytes(8_000 * 1_000))


def claimed_bmp() -> bytes:
    return bmp(30_000, 2_000, 24, 0, b"")


def progressive_jpeg() -> bytes:
    """64 million pixels whose coefficients are all kept."""
    return file("JPEG", Image.new("RGB", (8_000, 8_000)), progressive=True, subsampling=0)


def progressive_cmyk_jpeg() -> bytes:
    return file("JPEG", Image.new("CMYK", (8_000, 8_000)), progressive=True)


def claimed_jpeg() -> bytes:
    """65,500 x 65,500 in the header of a small file."""
    data = bytearray(file("JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)


def largest_claimed_jpeg() -> bytes:
    """As many pixels as are allowed, in a progressive file of a few kB."""
    data = bytearray(file("JPEG", progressive=True))
    place = data.index(b"\xff\xc2")
    data[place + 5 : place + 9] = struct.pack(">HH", 8_000, 8_000)
    return bytes(data)


# -------------------------------------------------------------------------- all time


def many_scans_jpeg(scans: int = 10_000, size: tuple[int, int] = (4_000, 4_000)) -> bytes:
    """A progressive picture whose last scan, which says nothing, comes again and again."""
    data = file("JPEG", Image.new("L", size), progressive=True)
    place = data.rindex(b"\xff\xda")
    scan = data[place:-2]
    return data[:-2] + scan * scans + b"\xff\xd9"


def many_small_scans_jpeg() -> bytes:
    return many_scans_jpeg(50_000, (1_000, 1_000))


def many_sequential_scans_jpeg() -> bytes:
    """Not progressive: each colour in a scan of its own, over and over."""
    data = file("JPEG", Image.new("L", (4_000, 4_000)))
    place = data.rindex(b"\xff\xda")
    return data[:-2] + data[place:-2] * 150 + b"\xff\xd9"


def many_colour_scans_jpeg() -> bytes:
    """Not progressive: all colours in one scan, and that again and again."""
    data = file("JPEG", Image.new("RGB", (4_000, 4_000)))
    place = data.rindex(b"\xff\xda")
    return data[:-2] + data[place:-2] * 120 + b"\xff\xd9"


def tiny_segments_jpeg() -> bytes:
    """Three million segments of no content."""
    return with_jpeg_segments(jpeg_segment(0xE5, b"") * 3_000_000)


def fill_bytes_jpeg() -> bytes:
    return with_jpeg_segments(b"\xff" * (20 * _MIB))


def junk_jpeg() -> bytes:
    """Bytes between segments that belong to none."""
    jpeg = file("JPEG")
    first = 4 + int.from_bytes(jpeg[4:6]) - 2 + 2
    return jpeg[:first] + b"\1" * (20 * _MIB) + jpeg[first:]


def escaped_junk_jpeg() -> bytes:
    return with_jpeg_segments(b"\xff\0" * (10 * _MIB))


def tables_jpeg() -> bytes:
    """Segments full of quantization tables."""
    segment = jpeg_segment(0xDB, (b"\0" + b"\1" * 64) * 1_000)
    return with_jpeg_segments(segment * 400)


def photoshop_jpeg() -> bytes:
    """Resource blocks of no content."""
    segment = jpeg_segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5_000)
    return with_jpeg_segments(segment * 400)


def packet_jpeg() -> bytes:
    """XMP packets that nearly name an orientation."""
    packet = b"http://ns.adobe.com/xap/1.0/\0" + b"tiff:Orientation=" * 3_800
    return with_jpeg_segments(jpeg_segment(0xE1, packet) * 400)


def many_pictures_jpeg() -> bytes:
    """An index (MPO) of 4 billion pictures."""
    entries = struct.pack("<HHII", 0xB001, 4, 1, 0xFFFFFFFF) + struct.pack(
        "<HHII", 0xB002, 7, 16 * 3_000, 50
    )
    index = b"II*\0\x08\0\0\0\2\0" + entries + bytes(4) + bytes(16 * 3_000)
    return with_jpeg_segments(jpeg_segment(0xE2, b"MPF\0" + index))


def comment_gif(size: int = 10 * _MIB) -> bytes:
    blocks = (b"\xff" + b"x" * 255) * (size // 255)
    return _gif_with(b"!\xfe" + blocks + b"\0")


def many_comments_gif() -> bytes:
    return _gif_with(b"!\xfe\1x\0" * 2_000_000)


def tiny_blocks_gif() -> bytes:
    return _gif_with(b"!\xfe" + b"\1x" * 5_000_000 + b"\0")


def tiny_data_blocks_gif() -> bytes:
    """Two million empty-handed blocks of picture data."""
    data = file("GIF", photo().quantize(16))
    place = data.index(b",", 13 + 48) + 11
    return data[:place] + b"\1\0" * 5_000_000 + data[place:]


def _gif_with(extension: bytes) -> bytes:
    data = file("GIF", photo().quantize(16))
    place = 13 + 48
    return data[:place] + extension + data[place:]


def tiny_chunks_png() -> bytes:
    return with_png_chunks(png_chunk(b"teSt", b"") * 2_000_000)


def tiny_data_png() -> bytes:
    """Picture data in two million empty chunks, and then one that has it."""
    return with_png_chunks(png_chunk(b"IDAT", b"") * 2_000_000)


def many_frames_png() -> bytes:
    control = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 1, 0, 0)
    frames = png_chunk(b"acTL", struct.pack(">II", 100_000, 0)) + png_chunk(b"fcTL", control)
    return with_png_chunks(frames + png_chunk(b"fdAT", bytes(8)) * 100_000)


def many_frames_webp() -> bytes:
    frames = [Image.new("RGB", (16, 16), (n % 256, n // 256, 0)) for n in range(2_000)]
    return file("WEBP", frames[0], save_all=True, append_images=frames[1:], lossless=True)


def tiny_chunks_webp() -> bytes:
    simple = file("WEBP", quality=80)
    body = simple[8:] + b"JUNK\0\0\0\0" * 2_000_000
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiny_chunks_before_webp() -> bytes:
    data = with_webp_chunk(b"EXIF", b"", 0x08)
    body = data[8:30] + b"JUNK\0\0\0\0" * 2_000_000 + data[30:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


# ------------------------------------------------------- what no poster is, and lies


def drawing() -> bytes:
    """An SVG that would unfold a thousand million times."""
    lines = ['<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    lines += [']><svg xmlns="http://www.w3.org/2000/svg"><text>&a9;</text></svg>']
    return "\n".join(lines).encode()


def compressed_drawing() -> bytes:
    return gzip.compress(bytes(200 * _MIB))


def postscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90000 90000\n%%EndComments\n{} loop\n"


def icon() -> bytes:
    return file("ICO")


def film() -> bytes:
    """FLI: a header that claims 10,000 x 6,000."""
    head = struct.pack("<IHHHHHH", 200, 0xAF11, 1, 10_000, 6_000, 8, 0)
    return head.ljust(128, b"\0") + bytes(72)


def photoshop() -> bytes:
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8_000, 8_000, 8, 3) + bytes(14)


def heic() -> bytes:
    return struct.pack(">I4s4sI8s", 24, b"ftyp", b"heic", 0, b"mif1heic") + bytes(500)


def avif_bomb() -> bytes:
    return file("AVIF", Image.new("RGB", (4_000, 4_000)), quality=1, speed=10)


def _damaged(kind: str, seed: int) -> bytes:
    """Bytes changed, cut out, doubled or cut off."""
    rng = random.Random(f"{kind}{seed}")
    options = {"progressive": True} if kind == "JPEG" and seed % 2 else {}
    image = photo().quantize(64) if kind == "GIF" else photo()
    data = bytearray(file(kind, image, **options))
    for _ in range(rng.randint(1, 12)):
        place = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 700))
        what = rng.randrange(4)
        if what == 0:
            data[place] = rng.randrange(256)
        elif what == 1:
            data[place : place + 4] = rng.randbytes(4)
        elif what == 2:
            del data[place : place + rng.randint(1, 50)]
        else:
            data[place:place] = data[place : place + rng.randint(1, 200)]
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    return bytes(data)


def _broken_exif(kind: str, seed: int) -> bytes:
    """A good picture with random EXIF, or a directory cut short."""
    rng = random.Random(f"exif{kind}{seed}")
    exif = rng.randbytes(rng.randint(0, 300))
    if rng.random() < 0.7:
        order = rng.choice("<>")
        entries = [
            struct.pack(
                order + "HHII",
                rng.choice((0x0112, 0x8769, 0x8825, 0x0100)),
                rng.randint(0, 20),
                rng.choice((0, 1, 2**31, 2**32 - 1)),
                rng.choice((0, 1, 8, 2**32 - 1)),
            )
            for _ in range(rng.randint(0, 9))
        ]
        head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
            order + "IH", rng.choice((8, 8, 8, 0, 2**32 - 1)), rng.choice((len(entries), 65_535))
        )
        exif = (head + b"".join(entries))[: rng.randint(2, 150)]
    if kind == "PNG":
        return with_png_chunks(png_chunk(b"eXIf", exif))
    if kind == "WEBP":
        return with_webp_chunk(b"EXIF", exif, 0x08)
    return with_jpeg_segments(jpeg_segment(0xE1, b"Exif\0\0" + exif))


BOMBS: tuple[Callable[[], bytes], ...] = (
    run_length_bmp,
    run_length_bmp_moves,
    jpeg_exif_bomb,
    png_exif_bomb,
    webp_exif_bomb,
    png_raw_profile_bomb,
    tiff_bomb,
    deep_grey_png,
    clear_png,
    deep_clear_png,
    palette_png,
    interlaced_png,
    one_row_png,
    one_column_png,
    endless_png,
    text_bomb_png,
    international_text_bomb_png,
    profile_bomb_png,
    large_canvas_webp,
    largest_webp,
    largest_lossless_webp,
    large_screen_gif,
    largest_gif,
    frame_beyond_screen_gif,
    one_bit_bmp,
    claimed_bmp,
    progressive_jpeg,
    progressive_cmyk_jpeg,
    claimed_jpeg,
    largest_claimed_jpeg,
    many_scans_jpeg,
    many_small_scans_jpeg,
    many_sequential_scans_jpeg,
    many_colour_scans_jpeg,
    tiny_segments_jpeg,
    fill_bytes_jpeg,
    junk_jpeg,
    escaped_junk_jpeg,
    tables_jpeg,
    photoshop_jpeg,
    packet_jpeg,
    many_pictures_jpeg,
    comment_gif,
    many_comments_gif,
    tiny_blocks_gif,
    tiny_data_blocks_gif,
    tiny_chunks_png,
    tiny_data_png,
    many_frames_png,
    many_frames_webp,
    tiny_chunks_webp,
    tiny_chunks_before_webp,
    drawing,
    compressed_drawing,
    postscript,
    icon,
    film,
    photoshop,
    heic,
    avif_bomb,
)
"""What is made by hand."""


def damaged(count: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yields (name, maker) of damaged files of every kind, `count` of each."""
    for seed in range(count):
        for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
            yield f"damaged_{kind.lower()}_{seed}", functools.partial(_damaged, kind, seed)
        for kind in ("JPEG", "PNG", "WEBP"):
            yield f"exif_{kind.lower()}_{seed}", functools.partial(_broken_exif, kind, seed)
