"""The texts of a trace as bytes: ids, lengths, then UTF-8 (lone surrogates kept)."""

from __future__ import annotations

import numpy as np


def pack_strings(values: dict[int, str]) -> bytes:
    texts = [text.encode("utf-8", "surrogatepass") for text in values.values()]
    ids = np.fromiter(values, np.int64, len(values))
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return b"".join((np.int64(len(ids)).tobytes(), ids.tobytes(), lengths.tobytes(), *texts))


def unpack_strings(data: bytes) -> dict[int, str]:
    count = int(np.frombuffer(data, np.int64, 1)[0])
    ids = np.frombuffer(data, np.int64, count, 8).tolist()
    lengths = np.frombuffer(data, np.int64, count, 8 + 8 * count).tolist()
    at = 8 + 16 * count
    values = {}
    for string_id, length in zip(ids, lengths, strict=True):
        values[string_id] = data[at : at + length].decode("utf-8", "surrogatepass")
        at += length
    return values
