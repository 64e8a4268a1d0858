"""Model 3: Model 2, with the vectors of frozen encoders as further evidence.

    python -m data_prep.prepare ... --text-encoder SPEC --poster-encoder SPEC
    python -m mmgenre.main --config configs/model3.py --config.data.dir=<that data set>

Each vector has a small network of its own, whose logits are added to those of Model 2; a movie
without a poster or without an overview has none of it. The encoders run in preparation and in
prediction, not in training: docs/encoders.md.

On 8,913 train movies it takes eleven minutes on one core once encoded and reaches, on 872 test
movies with a poster, micro F1 0.678, macro F1 0.618, macro AUC 0.917 and mAP 0.672, mean of three
seeds (docs/results.md).

`--config configs/model3.py:trial` shrinks everything, to see in seconds that it all works.
"""

import runpy
from pathlib import Path

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Returns the config; `variant` is empty or "trial"."""
    if variant not in ("", "trial"):
        raise ValueError(f"model3 has no variant {variant!r}; there is 'trial'")
    model2 = runpy.run_path(str(Path(__file__).with_name("model2.py")))
    config: ConfigDict = model2["get_config"](variant)
    config.name = config.name.replace("model2", "model3")
    config.model.use_vectors = True
    config.model.vector_units = 256
    config.model.poster_vector_dropout = 0.5
    config.model.overview_vector_dropout = 0.5
    if variant == "trial":
        config.model.vector_units = 8
    return config
