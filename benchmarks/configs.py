"""Reading a config file as `mmgenre.main` does."""

import runpy

from mmgenre.config import Config


def load_config(text: str) -> Config:
    """Returns the config of a file, or file:variant."""
    path, _, variant = text.partition(":")
    return Config.from_config_dict(runpy.run_path(path)["get_config"](variant))
