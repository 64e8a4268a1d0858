"""The architecture in Keras 3, on the backend of KERAS_BACKEND, as a user would write it.

python benchmarks/peers/keras_step.py <folder> <steps>; see `benchmarks.training_step`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from timing import measure  # type: ignore[import-not-found]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers


def build(config: dict[str, Any], num_tokens: int, num_genres: int) -> keras.Model:
    """Returns the compiled model of a `ModelConfig`, as a dict."""
    poster = keras.Input((64, 64, 3))
    x = poster
    for filters in config["cnn_filters"]:
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    if config["cnn_dropout"]:
        x = layers.Dropout(config["cnn_dropout"])(x)
    x = layers.Dense(config["poster_features"], activation="relu")(layers.Flatten()(x))

    tokens = keras.Input((num_tokens,), dtype="int32")
    y = layers.Embedding(config["vocabulary_size"], config["embedding_size"])(tokens)
    for index, units in enumerate(config["lstm_units"]):
        y = layers.LSTM(units, return_sequences=index + 1 < len(config["lstm_units"]))(y)
        if config["lstm_dropout"]:
            y = layers.Dropout(config["lstm_dropout"])(y)
    y = layers.Dense(config["overview_features"], activation="relu")(y)

    z = layers.Concatenate()([x, y])
    for units in config["head_units"]:
        z = layers.Dropout(config["head_dropout"])(layers.Dense(units, activation="relu")(z))
    model = keras.Model([poster, tokens], layers.Dense(num_genres, activation="sigmoid")(z))
    model.compile("adam", "binary_crossentropy")
    return model


def main() -> None:
    """Measures the longest batch of a folder."""
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    config = json.loads((folder / "model.json").read_text())
    length = max(int(path.stem.removeprefix("batch-")) for path in folder.glob("batch-*.npz"))
    with np.load(folder / f"batch-{length}.npz") as batch:
        posters = batch["poster"].astype(np.float32) / 255
        tokens, labels = batch["tokens"], batch["labels"].astype(np.float32)
    versions = {"keras": keras.__version__}
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        posters, tokens, labels = map(tf.constant, (posters, tokens, labels))
        versions["tensorflow"] = tf.__version__
    else:
        import jax

        versions["jax"] = jax.__version__
    model = build(config, length, labels.shape[1])
    measured = measure(lambda: float(model.train_on_batch([posters, tokens], labels)), steps)
    result = {"parameters": model.count_params(), "versions": versions, "steps": {length: measured}}
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
