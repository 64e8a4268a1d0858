"""One decoder for every kind of image file."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from mmgenre import schema
from mmgenre.inputs import image_file
from mmgenre.inputs.poster_decoder import PosterError, decode_poster, squeeze_image
from tests.hostile import pictures


def _picture(width=120, height=180) -> Image.Image:
    """Four smooth, different corners, so that turning and mirroring show."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    blue = 255 - (red + green) / 2
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8))


def _file(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


EXPECTED = np.asarray(_picture().resize((64, 64), Image.Resampling.LANCZOS)).astype(int)


def _close(pixels, expected=EXPECTED, tolerance=6) -> bool:
    assert pixels.shape == schema.POSTER_SHAPE and pixels.dtype == np.uint8
    return float(np.abs(pixels.astype(int) - expected).mean()) <= tolerance


@pytest.mark.parametrize(
    "data",
    [
        _file(_picture(), "JPEG", quality=95),
        _file(_picture(), "JPEG", quality=95, progressive=True),
        _file(_picture(), "PNG"),
        _file(_picture(), "WEBP", quality=95),
        _file(_picture(), "WEBP", lossless=True),
        _file(_picture(), "BMP"),
        _file(_picture(1200, 1800), "JPEG", quality=95),
        _file(_picture().convert("RGBA"), "PNG"),
        _file(_picture().convert("CMYK"), "JPEG", quality=95),
    ],
)
def test_the_same_picture_from_every_kind(data):
    assert _close(decode_poster(data))


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_palettes(kind):
    assert _close(decode_poster(_file(_picture().quantize(256), kind)), tolerance=16)


def test_the_first_frame_of_an_animation():
    other = Image.new("RGB", (120, 180))
    data = _file(_picture().quantize(256), "GIF", save_all=True, append_images=[other])
    assert _close(decode_poster(data), tolerance=16)


@pytest.mark.parametrize("mode, kind", [("L", "JPEG"), ("L", "PNG"), ("1", "PNG")])
def test_grey(mode, kind):
    pixels = decode_poster(_file(_picture().convert("L").convert(mode), kind))
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    expected = np.asarray(_picture().convert("L").resize((64, 64), Image.Resampling.LANCZOS))
    assert _close(pixels, expected[..., None].astype(int), tolerance=40 if mode == "1" else 6)


def test_16_bit_grey_is_scaled_not_cut():
    ramp = np.tile(np.linspace(0, 65535, 128).astype(np.uint16), (128, 1))
    pixels = decode_poster(_file(Image.fromarray(ramp), "PNG"))
    assert pixels[32, 0, 0] < 8 and 120 < pixels[32, 32, 0] < 136 and pixels[32, 63, 0] > 247


def test_dark_16_bit_grey_stays_dark():
    dark = np.full((64, 64), 200, np.uint16)
    assert decode_poster(_file(Image.fromarray(dark), "PNG")).max() <= 1


def test_16_bit_colour():
    """Pillow writes none, so the PNG is put together here: 48 bits a pixel, big-endian."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    values = np.asarray(_picture()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 180, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert _close(decode_poster(data))


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (50, 80), (255, 0, 0, 0))
    assert (decode_poster(_file(image, "PNG")) == 255).all()
    palette = Image.new("P", (50, 80), 3)
    assert (decode_poster(_file(palette, "GIF", transparency=3)) == 255).all()
    grey = Image.new("LA", (50, 80), (0, 255))
    assert (decode_poster(_file(grey, "PNG")) == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    """A picture stored turned comes out upright, as Pillow's own transposition has it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _file(_picture(), "JPEG", quality=95, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).resize((64, 64), Image.Resampling.LANCZOS)
    assert _close(decode_poster(data), np.asarray(upright).astype(int), tolerance=2)


def _jpeg_exif(exif: bytes) -> bytes:
    return pictures.with_jpeg_segments(
        pictures.jpeg_segment(0xE1, b"Exif\0\0" + exif), jpeg=_file(_picture(), "JPEG", quality=95)
    )


def _png_exif(exif: bytes) -> bytes:
    return pictures.with_png_chunks(pictures.png_chunk(b"eXIf", exif), png=_file(_picture(), "PNG"))


def _png_profile(exif: bytes) -> bytes:
    text = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
    chunk = pictures.png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    return pictures.with_png_chunks(chunk, png=_file(_picture(), "PNG"))


def _webp_exif(exif: bytes) -> bytes:
    return _file(_picture(), "WEBP", quality=95, exif=exif)


_EXIF_FILES = (_jpeg_exif, _png_exif, _png_profile, _webp_exif)


@pytest.mark.parametrize("make", _EXIF_FILES)
def test_orientation_is_read_wherever_it_stands(make):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x010F], exif[0x0112] = "A maker", orientation
        data = make(exif.tobytes().removeprefix(b"Exif\0\0"))
        with Image.open(io.BytesIO(data)) as image:
            assert image.getexif()[0x0112] == orientation
            upright = ImageOps.exif_transpose(image).convert("RGB")
        expected = np.asarray(upright.resize((64, 64), Image.Resampling.LANCZOS)).astype(int)
        assert _close(decode_poster(data), expected, tolerance=2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_in_xmp(kind):
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode(), zip=True)
        options = {"pnginfo": info}
    else:
        options = {"xmp": packet, "quality": 95}
    data = _file(_picture(), kind, **options)
    turned = _picture().transpose(Image.Transpose.ROTATE_270)
    expected = np.asarray(turned.resize((64, 64), Image.Resampling.LANCZOS)).astype(int)
    assert _close(decode_poster(data), expected, tolerance=6)


@pytest.mark.parametrize("make", _EXIF_FILES)
def test_exif_that_cannot_be_read_turns_nothing(make):
    whole = Image.Exif()
    whole[0x010F], whole[0x0112] = "A maker", 6
    tiff = whole.tobytes().removeprefix(b"Exif\0\0")
    odd = struct.pack("<4sIHHHII", b"II*\0", 8, 1, 0x0112, 3, 1, 99)
    words = struct.pack("<4sIHHHII", b"II*\0", 8, 1, 0x0112, 2, 4, 6)
    far = b"II*\0\xff\xff\xff\xff"
    upright = decode_poster(make(b"MM"))
    assert _close(upright)
    for exif in (b"garbage", b"Exif", tiff[:4], tiff[:9], tiff[:20], far, odd, words, b"\0" * 99):
        assert np.array_equal(decode_poster(make(exif)), upright), exif


def test_fine_patterns_are_antialiased():
    """A checkerboard of single pixels becomes even grey, not a moiré."""
    board = (np.indices((900, 600)).sum(0) % 2 * 255).astype(np.uint8)
    for kind in ("PNG", "JPEG"):
        pixels = decode_poster(_file(Image.fromarray(board), kind)).astype(int)
        assert abs(pixels.mean() - 127.5) < 4 and pixels.std() < 10


def test_draft_decoding_is_close_to_decoding_whole():
    rng = np.random.default_rng(0)
    noise = np.kron(rng.integers(0, 256, (75, 50, 3), np.uint8), np.ones((12, 12, 1), np.uint8))
    data = _file(Image.fromarray(noise), "JPEG", quality=90)
    whole = Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.LANCZOS)
    assert _close(decode_poster(data), np.asarray(whole).astype(int), tolerance=4)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "empty file"),
        (b"<html><body>404", "a web page"),
        (b'{"error": 1}', "JSON"),
        (b"hello" * 100, "not an image"),
        (_file(_picture(), "JPEG")[:-300], "truncated"),
        (_file(_picture(), "PNG")[:-300], "truncated|damaged"),
        (_file(_picture(), "GIF")[:1500], "truncated|damaged"),
        (_file(_picture(), "WEBP")[:-50], "not an image|damaged|truncated"),
        (b"\xff\xd8\xff" + b"\0" * 500, "truncated"),
        (_file(_picture(), "TIFF"), "^a TIFF picture; only JPEG, PNG, WebP, GIF and BMP are read$"),
        (_file(_picture(), "AVIF"), "^an AVIF picture; only"),
        (pictures.heic(), "^a HEIC picture; only"),
        (b"<!DOCTYPE html><body><svg/>", "^not an image: a web page"),
        (b'<?xml version="1.0"?>\n<!-- a -->\n<svg xmlns="x"/>', "^an SVG drawing; only"),
        (b"\xef\xbb\xbf<svg/>", "^an SVG drawing; only"),
        (_file(_picture(), "ICO"), "^an icon; only"),
        (b"\0\0\0\x0cJXL \r\n", "^a JPEG XL picture; only"),
        (b"\0\0\0\x20ftypisom", "^not an image: a film"),
        (b"%PDF-1.7", "^not an image: a PDF document"),
        (b"BMW is a car" * 9, "^not an image"),
        (pictures.run_length_bmp(), "^a compressed BMP picture; only uncompressed ones are read"),
    ],
)
def test_what_is_no_image(data, reason):
    with pytest.raises(PosterError, match=reason) as caught:
        decode_poster(data)
    assert "\n" not in str(caught.value)


def test_bombs_are_refused_before_they_unfold(monkeypatch):
    bomb = _file(Image.new("1", (30_000, 30_000)), "PNG")
    assert len(bomb) < 500_000
    with pytest.raises(PosterError, match="too many pixels"):
        decode_poster(bomb)
    monkeypatch.setattr(image_file, "MAX_BYTES", 100)
    with pytest.raises(PosterError, match="too large"):
        decode_poster(_file(_picture(), "PNG"))


def test_damaged_bytes_never_raise_anything_else():
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP"):
        whole = bytearray(_file(_picture(40, 60), kind))
        for _ in range(40):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 8):
                data[place] = rng.integers(0, 256)
            with contextlib.suppress(PosterError):
                assert decode_poster(bytes(data)).shape == schema.POSTER_SHAPE


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16"])
def test_large_pictures_are_shrunk_piece_by_piece(mode):
    """Above 8 million pixels, in the limited process: as if squeezed in one piece."""
    picture = _picture(2_900, 2_803).resize((2_900, 2_803))
    if mode == "I;16":
        grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        large, picture = Image.fromarray(grey), picture.convert("L").convert("RGB")
    elif mode == "RGBA":
        picture.putalpha(picture.getchannel("R"))
        large = picture
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    else:
        large = picture.quantize(256) if mode == "P" else picture.convert(mode)
        picture = large
    data = _file(large, "PNG", compress_level=1)
    whole = picture.convert("RGB").resize((64, 64), Image.Resampling.LANCZOS)
    found, expected = decode_poster(data).astype(int), np.asarray(whole).astype(int)
    assert np.abs(found - expected).max() <= 3
    narrow = large.resize((9, 900_001), Image.Resampling.BOX)
    whole = picture.convert("RGB").resize((9, 900_001), Image.Resampling.BOX)
    found = decode_poster(_file(narrow, "PNG", compress_level=1))
    expected = np.asarray(whole.resize((64, 64), Image.Resampling.LANCZOS))
    assert np.abs(found.astype(int) - expected).max() <= 24  # Palettes: dithered.


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "LA", "L", "1", "P", "CMYK", "YCbCr", "HSV", "LAB"]
)
def test_pictures_that_the_caller_opened(mode):
    picture = _picture().convert("RGB" if mode == "LAB" else mode)
    if mode == "LAB":
        picture = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    before = picture.copy()
    found = squeeze_image(picture)
    assert _close(found, np.asarray(picture.convert("RGB").resize((64, 64), 1)).astype(int))
    assert picture == before and picture.mode == mode


def test_deep_pictures_that_the_caller_opened():
    values = np.asarray(_picture().convert("L"))
    expected = decode_poster(_file(_picture().convert("L"), "PNG"))
    for deep in (
        values.astype(np.int32) * 257,
        values.astype(np.uint16) * 257,
        values.astype(np.int32),
        values.astype(np.float32) / 255,
        values.astype(np.float32),
    ):
        found = squeeze_image(Image.fromarray(deep))
        assert np.abs(found.astype(int) - expected).max() <= 1, deep.dtype


def test_a_picture_that_is_opened_lies_as_its_file_does():
    exif = Image.Exif()
    exif[0x0112] = 8
    data = _file(_picture(), "JPEG", quality=95, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        assert _close(squeeze_image(image), decode_poster(data).astype(int), tolerance=2)
        assert image.size == _picture().size
    with pytest.raises(PosterError, match="truncated"), Image.open(io.BytesIO(data[:3000])) as cut:
        squeeze_image(cut)
    with pytest.raises(PosterError, match="0 x 5 pixels"):
        squeeze_image(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("isolated", [False, True])
def test_limits_change_no_pixel(isolated):
    for kind, image in (
        ("JPEG", _picture()),
        ("GIF", _picture().quantize(64)),
        ("BMP", _picture()),
    ):
        data = _file(image, kind)
        assert np.array_equal(decode_poster(data, isolated=isolated), decode_poster(data))
    with pytest.raises(PosterError, match="truncated image"):
        decode_poster(_file(_picture(), "JPEG")[:-300], isolated=isolated)
