"""Files that are no posters, and the words that say so."""

from pathlib import Path

from PIL import Image


def write_bad_posters(folder: Path) -> dict[Path, str]:
    """Writes files that cannot be decoded; returns what each one's error says."""
    good = folder / "good.png"
    Image.effect_noise((300, 300), 50).convert("RGB").save(good)
    jpeg = folder / "whole.jpg"
    Image.open(good).save(jpeg)
    (folder / "cut.jpg").write_bytes(jpeg.read_bytes()[:3000])
    (folder / "text.jpg").write_text("not a picture at all")
    (folder / "page.jpg").write_text("<!doctype html><html></html>")
    (folder / "empty.jpg").write_bytes(b"")
    write_wide_poster(folder / "wide.png")
    with (folder / "giant.jpg").open("wb") as file:
        file.truncate(40 << 20)
    return {
        folder / "cut.jpg": "truncated image",
        folder / "text.jpg": "not an image",
        folder / "page.jpg": "a web page",
        folder / "empty.jpg": "empty file",
        folder / "wide.png": "too many pixels",
        folder / "giant.jpg": "larger than",
        folder / "none.jpg": "No such file",
        folder: "is a folder",
    }


def write_wide_poster(path: Path) -> Path:
    """Writes a small file that unfolds into 30,000 x 3,000 pixels."""
    Image.new("1", (30_000, 3_000)).save(path)
    return path
