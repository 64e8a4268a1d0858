"""A model of sentence-transformers as an encoder (extra `[encoders]`)."""

from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from transformers.utils.logging import disable_progress_bar

from mmgenre.encoders.encoder import BATCH
from mmgenre.encoders.torch_weights import device, weights_digest


class SentenceTransformersModel:
    """Encodes texts, or pictures with a CLIP-like model; see `encoder.Encoder`.

    Args:
      name: of a model, or its folder.
    """

    def __init__(self, name: str):
        disable_progress_bar()  # Of loading, which takes a moment.
        self._model = SentenceTransformer(name, device=str(device()))
        self.name = "/".join(name.rstrip("/").split("/")[-2:])
        self.digest = weights_digest(self._model)
        # CLIP-like models do not tell their size.
        self.size = int(self.encode(["A boy finds a map."]).shape[1])
        self.preprocessing = f"the model's own, at most {self._model.max_seq_length} tokens"

    def encode(self, inputs: list[Any]) -> np.ndarray:
        """See `encoder.Encoder`."""
        vectors: np.ndarray = self._model.encode(
            inputs, batch_size=BATCH, convert_to_numpy=True, show_progress_bar=False
        )
        return vectors
