"""TFRecord files: framing with CRCs, written and checked record by record, without TensorFlow.

Each record is: length (8 bytes), masked CRC-32C of these (4), data, masked CRC-32C of the data (4).
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections.abc import Iterator
from typing import IO, Final

import google_crc32c

HEADER_BYTES: Final = 12
FOOTER_BYTES: Final = 4
_MASK_DELTA: Final = 0xA282EAD8
_MAX_RECORD: Final = 1 << 30


class DamagedRecord(Exception):
    """A record is not what was written; the message says what is wrong with it.

    Attributes:
      record: its number in the file, from 0.
      offset: of its framing in the file.
    """

    def __init__(self, record: int, offset: int, reason: str):
        super().__init__(reason)
        self.record = record
        self.offset = offset


def masked_crc(data: bytes) -> int:
    """The CRC-32C as TFRecord files store it."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def write(file: IO[bytes], data: bytes) -> int:
    """Appends one record; returns the bytes written."""
    length = struct.pack("<Q", len(data))
    file.write(length + struct.pack("<I", masked_crc(length)))
    file.write(data)
    file.write(struct.pack("<I", masked_crc(data)))
    return HEADER_BYTES + len(data) + FOOTER_BYTES


def read(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Streams (offset of the data, data) of each record.

    Raises:
      DamagedRecord: a CRC does not fit, or the file ends within a record. Nothing can be read
        after it where the length itself is damaged.
    """
    for offset, data, reason in scan(file):
        if reason:
            raise DamagedRecord(offset[0], offset[1], reason)
        yield offset[1] + HEADER_BYTES, data


def scan(file: IO[bytes]) -> Iterator[tuple[tuple[int, int], bytes, str]]:
    """Streams ((number, offset), data, what is wrong or ""), going on after damaged data."""
    record = offset = 0
    while header := file.read(HEADER_BYTES):
        place = (record, offset)
        if len(header) < HEADER_BYTES:
            yield place, b"", "the file ends within the record's length"
            return
        (length,) = struct.unpack("<Q", header[:8])
        if struct.unpack("<I", header[8:])[0] != masked_crc(header[:8]) or length > _MAX_RECORD:
            yield place, b"", "the length's CRC does not fit; nothing after it can be read"
            return
        data = file.read(length)
        footer = file.read(FOOTER_BYTES)
        if len(data) + len(footer) < length + FOOTER_BYTES:
            yield place, b"", "the file ends within the record"
            return
        fits = struct.unpack("<I", footer)[0] == masked_crc(data)
        yield place, data, "" if fits else "the data's CRC does not fit"
        record += 1
        offset += HEADER_BYTES + length + FOOTER_BYTES
