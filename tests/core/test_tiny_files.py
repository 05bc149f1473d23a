from __future__ import annotations

import base64
import io
import struct
import wave
import zipfile
import zlib
from typing import Any

import pytest

from warmer.core.tiny_files import GIF, MP4, PDF, PNG, TEXT, WAV, ZIP, is_hard_to_make, tiny_file


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(";base64,")[2], validate=True)


def test_the_picture_is_one_whole_pixel() -> None:
    data = content(PNG)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, dict[bytes, bytes]()
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (1, 1)
    assert len(zlib.decompress(chunks[b"IDAT"])) == 1 + 3  # a filter byte, and red, green and blue
    assert b"IEND" in chunks


def test_the_sound_is_a_tenth_of_a_second() -> None:
    with wave.open(io.BytesIO(content(WAV))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (8000, 1, 800)
        assert len(sound.readframes(800)) == 1600


def test_the_film_is_whole_boxes_around_one_frame() -> None:
    data, at, boxes = content(MP4), 0, list[bytes]()
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        boxes.append(data[at + 4 : at + 8])
        at += length
    assert at == len(data)
    assert {b"ftyp", b"mdat", b"moov"} <= set(boxes)
    sizes = data.index(b"stsz")
    assert struct.unpack(">I", data[sizes + 12 : sizes + 16]) == (1,)


def test_the_others_are_what_they_say() -> None:
    with zipfile.ZipFile(io.BytesIO(content(ZIP))) as archive:
        assert archive.testzip() is None
        assert archive.read("1.png") == content(PNG)
    assert content(PDF).startswith(b"%PDF-") and content(PDF).endswith(b"%%EOF")
    assert struct.unpack("<6sHH", content(GIF)[:10]) == (b"GIF87a", 1, 1)
    assert content(TEXT) == b"hi"


@pytest.mark.parametrize(
    ("key", "about", "file"),
    [
        ("image", {}, PNG),
        ("mask", {"description": "the part of the video to change"}, PNG),
        ("input_video", {}, MP4),
        ("video_with_audio", {}, MP4),
        ("audio", {}, WAV),
        ("voice_sample", {}, WAV),
        ("file", {"description": "An mp3 to listen to"}, WAV),
        ("file", {"title": "Pdf"}, PDF),
        ("gif", {}, GIF),
        ("input_images", {"description": "A zip of images"}, ZIP),
        ("transcript", {}, TEXT),
        ("x", {"description": 3}, PNG),
    ],
)
def test_the_kind_of_file_is_read_from_what_it_is_called(key: str, about: dict[str, Any], file: str) -> None:
    assert tiny_file(key, about) == file


def test_some_files_cannot_be_made_up() -> None:
    assert is_hard_to_make("swap_face", {})
    assert is_hard_to_make("input", {"description": "text, vision, or audio file"})
    assert is_hard_to_make("input", {})
    assert not is_hard_to_make("image", {"description": "Input image"})
