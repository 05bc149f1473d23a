"""The smallest files that are still whole, as data URIs: what a beat sends where a model wants a file."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from typing import Any

_RATE = 8_000  # samples a second
_SILENT = bytes(2 * (_RATE // 10))  # 16 bits each, 0.1 s
_WAV = b"".join(
    (
        b"RIFF",
        struct.pack("<I", 36 + len(_SILENT)),
        b"WAVEfmt ",
        struct.pack("<IHHIIHH", 16, 1, 1, _RATE, 2 * _RATE, 2, 16),
        b"data",
        struct.pack("<I", len(_SILENT)),
        _SILENT,
    )
)

WAV = "data:audio/wav;base64," + base64.b64encode(_WAV).decode()
"""0.1 s of silence, mono."""
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNoaGgAAAMEAYF1LgG8AAAAAElFTkSuQmCC"
)
"""One grey pixel."""
GIF = "data:image/gif;base64,R0lGODdhAQABAIAAAAAAAAAAACwAAAAAAQABAAAIBAABBAQAOw=="
"""One black pixel, one frame."""
MP4 = (
    "data:video/mp4;base64,"
    "AAAAIGZ0eXBpc29tAAACAGlzb21pc28yYXZjMW1wNDEAAAAIZnJlZQAAABZtZGF0AAAACmWIhAzyYoAAgP4AAALabW9vdgAAAGxtdmhkAAAA"
    "AAAAAAAAAAAAAAAD6AAAAH0AAQAAAQAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAgAAAil0cmFrAAAAXHRraGQAAAADAAAAAAAAAAAAAAABAAAAAAAAAH0AAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAA"
    "AAAAAAAAAAABAAAAAAAAAAAAAAAAAABAAAAAABAAAAAQAAAAAAAkZWR0cwAAABxlbHN0AAAAAAAAAAEAAAB9AAAAAAABAAAAAAGhbWRpYQAA"
    "ACBtZGhkAAAAAAAAAAAAAAAAAABAAAAACABVxAAAAAAALWhkbHIAAAAAAAAAAHZpZGUAAAAAAAAAAAAAAABWaWRlb0hhbmRsZXIAAAABTG1p"
    "bmYAAAAUdm1oZAAAAAEAAAAAAAAAAAAAACRkaW5mAAAAHGRyZWYAAAAAAAAAAQAAAAx1cmwgAAAAAQAAAQxzdGJsAAAAqHN0c2QAAAAAAAAA"
    "AQAAAJhhdmMxAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAABAAEABIAAAASAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAGP//AAAALmF2Y0MBQsAK/+EAFWdCwArZHoQAAAMABAAAAwBAPEiZIAEABmjLgGUsgAAAABRidHJ0AAAAAAAAA4AAAAAAAAAAGHN0dHMA"
    "AAAAAAAAAQAAAAEAAAgAAAAAHHN0c2MAAAAAAAAAAQAAAAEAAAABAAAAAQAAABRzdHN6AAAAAAAAAA4AAAABAAAAFHN0Y28AAAAAAAAAAQAA"
    "ADAAAAA9dWR0YQAAADVtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABtZGlyYXBwbAAAAAAAAAAAAAAAAAhpbHN0"
)
"""One black frame of 16 x 16 pixels, H.264."""
PDF = (
    "data:application/pdf;base64,"
    "JVBERi0xLjEKMSAwIG9iajw8L1R5cGUvQ2F0YWxvZy9QYWdlcyAyIDAgUj4+IGVuZG9iagoyIDAgb2JqPDwvVHlwZS9QYWdlcy9LaWRzWzMg"
    "MCBSXS9Db3VudCAxPj4gZW5kb2JqCjMgMCBvYmo8PC9UeXBlL1BhZ2UvUGFyZW50IDIgMCBSL01lZGlhQm94WzAgMCA5IDldPj4gZW5kb2Jq"
    "CnhyZWYKMCA0CjAwMDAwMDAwMDAgNjU1MzUgZiAKMDAwMDAwMDAwOSAwMDAwMCBuIAowMDAwMDAwMDUzIDAwMDAwIG4gCjAwMDAwMDAxMDMg"
    "MDAwMDAgbiAKdHJhaWxlcjw8L1NpemUgNC9Sb290IDEgMCBSPj4Kc3RhcnR4cmVmCjE2MwolJUVPRg=="
)
"""One empty page."""
ZIP = (
    "data:application/zip;base64,"
    "UEsDBBQAAAAAAAAAIVBK4TuGRQAAAEUAAAAFAAAAMS5wbmeJUE5HDQoaCgAAAA1JSERSAAAAAQAAAAEIAgAAAJB3U94AAAAMSURBVHjaY2ho"
    "aAAAAwQBgXUuAbwAAAAASUVORK5CYIJQSwECFAMUAAAAAAAAACFQSuE7hkUAAABFAAAABQAAAAAAAAAAAAAAgAEAAAAAMS5wbmdQSwUGAAAA"
    "AAEAAQAzAAAAaAAAAAAA"
)
"""The pixel above, as 1.png."""
TEXT = "data:text/plain;base64,aGk="
"""hi"""

# What a key or its description calls such a file, the surest word first: a "video with audio" is a video.
_CALLED = tuple(
    (re.compile(rf"(?<![a-z])({words})(?![a-z])"), file)
    for words, file in (
        ("gif", GIF),
        ("videos?|mp4|movie|footage", MP4),
        ("audios?|wav|mp3|voices?|speech|songs?|music|sounds?|recording|vocals?|speakers?|melody", WAV),
        ("pdf", PDF),
        ("txt|csv|jsonl?|transcript|subtitles?|text file", TEXT),
        ("images?|img|pictures?|photos?|portraits?|masks?|frames?|face|png|jpe?g|pixels?|sketch|pose|depth", PNG),
        ("documents?|docs?|pages?", PDF),
        ("text", TEXT),
    )
)
_PACKED = re.compile(r"(?<![a-z])(zip|tar|archive|dataset)(?![a-z])")
_OF_SOMETHING = re.compile(
    r"(?<![a-z])(faces?|persons?|people|humans?|portraits?|selfie|garments?|clothing|clothes|speakers?|voices?"
    r"|zip|tar|archive|dataset|checkpoint|lora|weights|safetensors)(?![a-z])"
)


def tiny_file(key: str, schema: Mapping[str, Any]) -> str:
    """The data URI of a file for the input `key`, of the kind that its name tells, or else its description."""
    told = _told(key, schema)
    if any(_PACKED.search(one) for one in told):  # of whatever: `images` in a zip file
        return ZIP
    return next((kinds[0] for one in told if (kinds := _kinds(one))), PNG)


def is_hard_to_make(key: str, schema: Mapping[str, Any]) -> bool:
    """Whether another file is better than one that is made up.

    Either the model looks for something in it, such as a face, or it may be of several kinds.
    """
    told = _told(key, schema)
    kinds = next((kinds for one in told if (kinds := _kinds(one))), [])
    return len(set(kinds)) != 1 or any(_OF_SOMETHING.search(one) for one in told)


def _kinds(told: str) -> list[str]:
    return [file for words, file in _CALLED if words.search(told)]


def _told(key: str, schema: Mapping[str, Any]) -> tuple[str, str, str]:
    title, description = (schema.get(word) for word in ("title", "description"))
    texts = (key.replace("_", " "), title, description)
    first, second, third = (text.lower()[:500] if isinstance(text, str) else "" for text in texts)
    return first, second, third
