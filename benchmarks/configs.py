"""Reading a config file as `mmgenre.main` does."""

import importlib.util

from mmgenre.config import Config


def load_config(text: str) -> Config:
    """Returns the config of a file, or file:variant."""
    path, _, variant = text.partition(":")
    spec = importlib.util.spec_from_file_location("config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Config.from_config_dict(module.get_config(variant))
