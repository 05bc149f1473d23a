"""Whatever stands in a file of past traffic: a trace, or a fault with its line."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from harness.fuzz import budget
from hypothesis import example, given
from hypothesis import strategies as st

from warmer.cli.traces import read_trace
from warmer.errors import TraceError

PIECES = (
    *("t,model\n", "1,a\n", "1.5,b\n", "2", ",", "\n", "\r", "\r\n", '"', "'", " ", "\t", "-1,a\n", "NaN,a\n"),
    *("1e3,c\n", "1_0,a\n", "9" * 400 + ",a\n", "1e999,a\n", "\x00", "\ufeff", "\u2028", "3,\n", ",x\n"),
    *("inf,a\n", "0x10,a\n", "\u0663,a\n"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@budget(400)
@given((texts | texts.map(lambda text: "t,model\n" + text)).map(str.encode) | st.binary(max_size=60), st.booleans())
@example(b't,model\n1,"' + b"a" * 200_000, False)
@example(b"t,model\n" + b"," * 200_000, False)
@example(b"\x1f\x8b", False)
@example(gzip.compress(b"t,model\n1,a\n")[:-5], False)
@example(b"\x1f\x8b\x08\xff" + b"\x00" * 100, False)
def test_any_bytes_are_a_trace_or_a_fault_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, packed: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / ("any.csv.gz" if packed else "any.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        trace = read_trace(path)
    except TraceError as error:
        assert str(error).startswith(f"{path}:")
        assert "(" in str(error)
        assert len(str(error)) < 1000 + len(str(path))
    else:
        assert trace.name == "any"


def test_what_unpacks_to_far_more_is_refused_at_its_first_fault(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    for bomb in (b"x" * 50_000_000, b'1,"' + (b"x" * 100 + b"\n") * 500_000, b'1,"' + b"\n" * 50_000_000):
        path.write_bytes(gzip.compress(b"t,model\n" + b"\n" * 2 + bomb, 1))
        tracemalloc.start()
        with pytest.raises(TraceError, match=r"bomb\.csv\.gz:4: "):
            read_trace(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()
