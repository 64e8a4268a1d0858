"""Predicts a movie's genres with this folder alone: python example.py poster.jpg "overview"."""

import hashlib, json, pathlib, sys, jax.export, numpy as np, tokenizers
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
try:
    bundle = json.loads((HERE / "bundle.json").read_text("utf-8"))
    bundle["format_version"] in (1, 2) or sys.exit(
        f"error: it has format {bundle['format_version']}"
    )
    sha256 = {n: hashlib.sha256((HERE / n).read_bytes()).hexdigest() for n in bundle["files"]}
    if damaged := [n for n in sha256 if sha256[n] != bundle["files"][n]]:
        sys.exit(f"error: {damaged[0]} is damaged; get the bundle again")
except (OSError, ValueError, KeyError) as error:
    sys.exit(f"error: the bundle is damaged; get it again ({error!r})")
tokenizer = tokenizers.Tokenizer.from_file(str(HERE / "tokenizer.json"))
poster_file, overview = (*sys.argv[1:], "", "")[:2]  # "" for a poster or an overview not there
vectors = []  # Of the encoders that bundle.json names: files of NumPy's, "" for a half not there
files = iter((*sys.argv[3:], "", ""))
for name, made_by in bundle.get("vectors", {}).items():
    file = next(files)
    vectors.append(np.zeros((1, made_by["size"]), np.float32))
    try:
        vectors[-1][0] = np.load(file) if file else 0
    except Exception as error:
        sys.exit(f"error: {file} is no {name} of {made_by['size']} numbers ({error})")
poster = np.zeros((1, 64, 64, 3), np.uint8)
if poster_file:
    try:
        image = Image.open(poster_file, formats=["JPEG", "PNG", "WEBP", "GIF", "BMP"])
        image.draft("RGB", (128, 128))
        image.load()
    except Exception as error:
        sys.exit(f"error: the poster {poster_file} cannot be used ({error})")
    try:
        turned = image.getexif().get(0x0112, 1)
    except Exception:  # EXIF that cannot be read turns nothing.
        turned = 1
    if image.mode == "I;16":
        grey = np.asarray(image.resize((64, 64), Image.LANCZOS)).astype(int)
        image = Image.fromarray(np.uint8((grey + 128) // 257))
    image = image.convert("RGBA" if image.has_transparency_data else "RGB").convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    image = image.resize((64, 64), Image.LANCZOS)
    image.getexif()[0x0112] = turned
    poster[0] = ImageOps.exif_transpose(image)
ids = tokenizer.encode(overview, add_special_tokens=False).ids[: bundle["max_tokens"]]
tokens = np.array([ids + [0] * (bundle["max_tokens"] - len(ids))], np.int32)
try:
    model = jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes()))
    lengths = np.array([max(1, len(ids))], np.int32)
    found = np.asarray(model.call(poster, tokens, lengths, *vectors))[0]
except Exception as error:
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    versions = "{written_by} wrote it, {oldest_tried} to {newest_tried} ran it".format(
        **bundle["jax"]
    )
    sys.exit(f"error: JAX {jax.__version__} cannot run the model ({why}); {versions}")
half = "" if poster_file and ids else "_poster_alone" if poster_file else "_overview_alone"
rows = zip(bundle["genres"], found.tolist(), bundle["thresholds" + half], strict=True)
print(json.dumps({g: {"probability": p, "predicted": p >= t} for g, p, t in rows}, indent=1))
