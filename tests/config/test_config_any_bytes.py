"""Whatever the bytes are: a spec, or faults with a place. Nothing else ever comes out."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from warmer import config
from warmer.errors import ConfigError

SAMPLE = (Path(__file__).parents[2] / "config" / "warmer.yaml").read_bytes()
TOKENS = [
    *(
        "models:",
        "model:",
        "acme/chat",
        "hours:",
        "every:",
        "30s",
        "input:",
        "price:",
        "per_second:",
        "defaults:",
        "replicate:",
    ),
    *(
        "token:",
        "timezone:",
        "country:",
        "name:",
        "deployment:",
        "22:00",
        "Mo-Fr 08:00-20:00",
        "24/7",
        "PH off",
        "0",
        "-1",
        "1e9",
    ),
    *(
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\n",
        "\n  ",
        "\n    - ",
        "? ",
        "|",
        ">",
        "&a ",
        "*a",
        "!!int ",
        "!x",
        "<<: *a",
        "#",
    ),
    *(
        "---",
        "...",
        "%YAML 1.1",
        "'",
        '"',
        "\\",
        '"\\U00110000"',
        '"\\ud800"',
        "\t",
        "~",
        ".nan",
        "0x",
        "\u2028",
        "é",
        "@",
        "`",
    ),
]
pieces = st.lists(st.sampled_from(TOKENS), max_size=40).map(lambda parts: "".join(parts).encode())
edits = st.lists(
    st.tuples(
        st.integers(0, len(SAMPLE)), st.integers(0, 40), st.binary(max_size=4) | st.sampled_from(TOKENS).map(str.encode)
    ),
    min_size=1,
    max_size=4,
)


def edited(changes: list[tuple[int, int, bytes]]) -> bytes:
    text = SAMPLE
    for at, length, instead in changes:
        text = text[:at] + instead + text[at + length :]
    return text


def check(text: bytes) -> None:
    try:
        spec = config.parse(text, path="warmer.yaml")
    except ConfigError as error:
        assert error.faults
        lines = text.count(b"\n") + text.count(b"\r") + 3 * text.count(b"\xe2\x80") + text.count(b"\xc2\x85") + 1
        for fault in error.faults:
            assert 1 <= fault.line <= lines
            assert fault.column >= 1
            assert fault.problem
    else:
        assert spec.models


@settings(max_examples=300, deadline=None)
@given(edits.map(edited))
@example(SAMPLE)
def test_an_edited_sample_is_a_spec_or_faults_with_a_place(text: bytes) -> None:
    check(text)


@settings(max_examples=300, deadline=None)
@given(
    pieces | st.binary(max_size=60) | st.text(st.characters(exclude_categories=("Cs",)), max_size=60).map(str.encode)
)
@example(b'a: "\\UFFFFFFFF"')
@example(b'? "\\ud800"')
@example(b"? " * 1000)
@example(b"[" * 100_000)
@example(b"- " * 100_000)
@example(b"%YAML " + b"1" * 5000 + b".1\n---\na: b")
@example(b"models: [{model: a/b, every: " + b"9" * 400 + b"d}]")
@example(b"models: [{model: a/b, price: {per_second: 1e999999999999}}]")
def test_any_text_is_a_spec_or_faults_with_a_place(text: bytes) -> None:
    check(text)
