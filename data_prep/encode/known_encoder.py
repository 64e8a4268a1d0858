"""Encoders that preparation knows before it loads them, from what an earlier one noted.

Loading takes seconds, of PyTorch alone, and is of no use where nothing is to be encoded. The note
holds what is recorded of an encoder, and the digest of all that it was loaded from.
"""

import time
from typing import Any, Final

from etils import epath

from data_prep.encode import vector_files
from data_prep.workspace.stages import Workspace, digest, make_folder
from mmgenre.encoders.encoder import FrozenEncoder
from mmgenre.encoders.encoder_info import EncoderInfo
from mmgenre.encoders.load import load
from mmgenre.encoders.origin import origin_digest
from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.machine.json_files import read_json

_FIELDS: Final = {"info", "files", "origin"}


class KnownEncoder:
    """An encoder that is loaded when it has something to encode.

    Args:
      feature: of `schema.VECTORS`, which it makes.
      info: what is recorded of it.
      loaded: itself, if it had to be loaded to know.
      note: the file that `info` is from otherwise.
    """

    def __init__(
        self,
        feature: str,
        info: EncoderInfo,
        loaded: FrozenEncoder | None = None,
        note: epath.Path | None = None,
    ):
        self.info = info
        self._feature, self._loaded, self._note = feature, loaded, note

    def loaded(self) -> FrozenEncoder:
        """Returns the encoder itself; raises UserError as `load`, or where it is another by now."""
        if self._loaded is None:
            self._loaded = load(self.info.spec, self._feature)
            if self._loaded.info != self.info:
                if self._note is not None:
                    self._note.unlink(missing_ok=True)
                raise UserError(
                    f"the encoder {self.info.spec} is not the one that it was, though its files "
                    "are the same; run again, and have it declare all of its files, or none"
                )
        return self._loaded


def find(workspace: Workspace, spec: str, feature: str) -> KnownEncoder:
    """Returns an encoder for a feature of `schema.VECTORS`, loaded only where that is needed.

    Raises:
      UserError: as `load`.
    """
    path = workspace.path / vector_files.FOLDER / f"{feature}-{digest(spec)}.json"
    info = _noted(path, spec)
    if info is not None:
        return KnownEncoder(feature, info, note=path)
    started = time.time()
    encoder = load(spec, feature)
    origin = origin_digest(spec, encoder.files, before=started)
    if origin is not None:
        make_folder(path.parent)
        fields = {"info": vars(encoder.info), "files": list(encoder.files), "origin": origin}
        files.write_json(path, fields)
    return KnownEncoder(feature, encoder.info, encoder)


def _noted(path: epath.Path, spec: str) -> EncoderInfo | None:
    """What was noted of an encoder whose files are the same as then."""
    try:
        note: Any = read_json(path)
        if note.keys() != _FIELDS:
            return None
        info = EncoderInfo.from_fields(note["info"])
        origin = origin_digest(spec, note["files"])
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return info if origin is not None and origin == note["origin"] and info.spec == spec else None
