"""A model of timm, without its classifier, as an encoder of pictures (extra `[encoders]`)."""

from typing import Any

import numpy as np
import timm
import torch

from mmgenre.encoders.torch_weights import device, picture_batch, weights_digest


class TimmModel:
    """Encodes pictures; see `encoder.Encoder`.

    Args:
      name: of a model, such as "efficientnet_lite0".
      weights: a file of them; "" for those that timm fetches.
    """

    def __init__(self, name: str, weights: str = ""):
        # Given as a file of pretrained weights: so timm leaves the classifier in it out.
        given = {"file": weights} if weights else None
        model = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=given, num_classes=0
        )
        config = timm.data.resolve_model_data_config(model)
        self._model = model.eval().to(device())
        self._mean, self._std = config["mean"], config["std"]
        self.name = name
        self.side = int(config["input_size"][-1])
        self.digest = weights_digest(self._model)
        self.preprocessing = f"colours normalised by mean {self._mean}, deviation {self._std}"
        with torch.inference_mode():
            probe = self._model(torch.zeros(1, 3, self.side, self.side, device=device()))
        self.size = int(probe.shape[1])

    def encode(self, inputs: list[Any]) -> np.ndarray:
        """See `encoder.Encoder`."""
        with torch.inference_mode():
            vectors: np.ndarray = (
                self._model(picture_batch(inputs, self._mean, self._std)).float().cpu().numpy()
            )
        return vectors
