"""A model of timm, without its classifier, as an encoder of pictures (extra `[encoders]`)."""

from typing import Any

import numpy as np
import timm
import torch

from mmgenre.encoders.torch_weights import device, picture_batch, weights_digest


def _create(name: str, weights: str, seed: int) -> torch.nn.Module:
    """Returns a model without its classifier, with pretrained weights where there are any."""
    # Given as a file of pretrained weights: so timm leaves the classifier in it out.
    given = {"file": weights} if weights else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: torch.nn.Module = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=given, num_classes=0
        )
    return model


class TimmModel:
    """Encodes pictures; see `encoder.Encoder`.

    Args:
      name: of a model, such as "efficientnet_lite0".
      weights: a file of them; "" for those that timm fetches.
    """

    def __init__(self, name: str, weights: str = ""):
        model = _create(name, weights, seed=0)
        self.digest = weights_digest(model)
        # What a file lacks timm leaves at random, and says so in a log.
        if self.digest != weights_digest(_create(name, weights, seed=1)):
            raise ValueError(f"{weights or 'what is fetched'} lacks weights of this model")
        config = timm.data.resolve_model_data_config(model)
        self._model = model.eval().to(device())
        self._mean, self._std = config["mean"], config["std"]
        self.name = name
        self.side = int(config["input_size"][-1])
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
