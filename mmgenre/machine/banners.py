"""Start-up lines of libraries that no user needs: about their own caches and instructions.

Their warnings stay. Imports nothing heavy; must run before the libraries are imported.
"""

import logging
import os
from collections.abc import MutableMapping


def silence(environ: MutableMapping[str, str] = os.environ) -> None:
    """Silences TensorFlow's and Matplotlib's; what the user has set wins."""
    environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # From warnings on.
    # It announces oneDNN whatever the level, and here only feeds data: it multiplies nothing.
    environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    for name in ("matplotlib", "matplotlib.font_manager"):
        logging.getLogger(name).addFilter(_is_not_about_a_cache)


def _is_not_about_a_cache(record: logging.LogRecord) -> bool:
    return "cache" not in str(record.msg)
