"""Predicts a movie's genres with this folder alone: python example.py poster.jpg "overview"."""

import hashlib, json, pathlib, sys
import jax.export, numpy as np, tokenizers
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
try:
    bundle = json.loads((HERE / "bundle.json").read_text())
    if bundle["format_version"] != 1:
        sys.exit(f"error: this bundle has format {bundle['format_version']}, not 1")
    for name, digest in bundle["files"].items():
        if hashlib.sha256((HERE / name).read_bytes()).hexdigest() != digest:
            sys.exit(f"error: {name} is damaged; get the bundle again")
except (OSError, ValueError, KeyError) as error:
    sys.exit(f"error: the bundle is damaged; get it again ({error!r})")
model = jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes()))
tokenizer = tokenizers.Tokenizer.from_file(str(HERE / "tokenizer.json"))
poster_file, overview = (*sys.argv[1:], "", "")[:2]  # "" for a poster or an overview not there
poster = np.zeros((1, 64, 64, 3), np.uint8)
if poster_file:
    image = Image.open(poster_file)
    image.draft("RGB", (128, 128))
    poster[0] = ImageOps.exif_transpose(image).convert("RGB").resize((64, 64), Image.LANCZOS)
ids = tokenizer.encode(overview, add_special_tokens=False).ids[: bundle["max_tokens"]]
tokens = np.zeros((1, bundle["max_tokens"]), np.int32)
tokens[0, : len(ids)] = ids
probabilities = np.asarray(model.call(poster, tokens, np.array([max(1, len(ids))], np.int32)))[0]
rows = zip(bundle["genres"], probabilities.tolist(), bundle["thresholds"], strict=True)
print(json.dumps({g: {"probability": p, "predicted": p >= t} for g, p, t in rows}, indent=1))
