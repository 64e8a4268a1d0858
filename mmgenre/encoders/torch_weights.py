"""PyTorch modules as frozen encoders: where they run, and the digest of their weights."""

import hashlib
from typing import Any

import numpy as np
import torch


def device() -> torch.device:
    """The GPU, where PyTorch has one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def weights_digest(module: torch.nn.Module) -> str:
    """SHA-256 of all parameters and buffers by name, wherever they were loaded from."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {[*array.shape]}\n".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def picture_batch(pictures: list[Any], mean: Any, std: Any) -> torch.Tensor:
    """Returns <float32>[n, 3, height, width] of RGB pictures of one size, on `device`.

    Args:
      pictures: of Pillow.
      mean: of each colour, in [0, 1]; subtracted.
      std: of each colour, in [0, 1]; divided by.
    """
    pixels = torch.from_numpy(np.stack([np.asarray(picture, np.uint8) for picture in pictures]))
    values = pixels.to(device()).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(x, device=values.device).view(1, 3, 1, 1) for x in (mean, std))
    return (values - mean) / std
