"""Trace files, right and wrong: what is wrong with one names its line and what to write."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from warmer.cli.traces import read_trace
from warmer.core.backtest.trace import HOUR, SECOND
from warmer.errors import TraceError


def written(folder: Path, content: str | bytes, name: str = "calls.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def seconds(path: Path) -> dict[str, list[float]]:
    return {arrivals.model: (arrivals.at / SECOND).tolist() for arrivals in read_trace(path).models}


def test_a_trace_is_read_model_by_model(tmp_path: Path) -> None:
    path = written(tmp_path, "t,model\n0,b\n0.5,a\n61.5,b\n3600,a\n")
    trace = read_trace(path)
    assert seconds(path) == {"a": [0.5, 3600.0], "b": [0.0, 61.5]}
    assert (trace.name, trace.end, len(trace)) == ("calls", 2 * HOUR, 4)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("t,model\n", {}),
        ("t,model", {}),
        ("t,model\n5,a\n", {"a": [5.0]}),
        ("t,model\n5,a", {"a": [5.0]}),
        ("t,model\r\n5,a\r\n", {"a": [5.0]}),
        ("\ufefft,model\n5,a\n", {"a": [5.0]}),
        (" t , model \n 5,a\n", {"a": [5.0]}),
        ("t,model\n5,a\n5,a\n5,b\n5,a\n", {"a": [5.0, 5.0, 5.0], "b": [5.0]}),
        ("t,model\n5,a\n\n6,a\n\n\n", {"a": [5.0, 6.0]}),
        ("t,model\n1e2,a\n", {"a": [100.0]}),
        ('t,model\n5,"a,b"\n', {"a,b": [5.0]}),
        ("t,model\n5,ä/ö\n", {"ä/ö": [5.0]}),
    ],
)
def test_a_trace_may_have_any_number_of_rows_and_any_line_ends(
    tmp_path: Path, content: str, expected: dict[str, list[float]]
) -> None:
    assert seconds(written(tmp_path, content)) == expected


@pytest.mark.parametrize("name", ["calls.csv.gz", "calls.csv"])
def test_a_gzipped_trace_is_known_by_its_bytes(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, gzip.compress(b"t,model\n5,a\n"), name)
    assert seconds(path) == {"a": [5.0]}
    assert read_trace(path).name == "calls"


GOOD = "t,model\n1,a\n2,a\n"


@pytest.mark.parametrize(
    ("content", "line", "problem", "hint"),
    [
        ("", 1, "the file is empty", "write `t,model` on the first line"),
        ("time,model\n1,a\n", 1, "the header is `time,model`", "write `t,model`"),
        ("t\n1\n", 1, "the header is `t`", "write `t,model`"),
        ("model,t\na,1\n", 1, "the header is `model,t`", "write `t,model`"),
        ("1,a\n2,a\n", 1, "the header is `1,a`", "write `t,model`"),
        (GOOD + "3\n", 4, "1 column where there must be two", "such as `61.5,llama`"),
        (GOOD + "3,a,b\n", 4, "3 columns where there must be two", "such as `61.5,llama`"),
        (GOOD + "3,\n", 4, "the model is missing", "after the comma"),
        (GOOD + "three,a\n", 4, "`three` is no time", "seconds since the midnight"),
        (GOOD + ",a\n", 4, "`` is no time", "seconds since the midnight"),
        (GOOD + "nan,a\n", 4, "`nan` is no time", "seconds since the midnight"),
        (GOOD + "inf,a\n", 4, "`inf` is no time", "seconds since the midnight"),
        (GOOD + "1_0,a\n", 4, "`1_0` is no time", "seconds since the midnight"),
        (GOOD + "2026-11-21T10:00:00Z,a\n", 4, "`2026-11-21T10:00:00Z` is no time", "seconds since"),
        ("t,model\n-1,a\n", 2, "`-1` lies before the trace", "begin at 0"),
        (GOOD + "1763719200,a\n", 4, "`1763719200` is more than ten years", "not Unix time"),
        (GOOD + "1.5,a\n3,a\n", 4, "`1.5` comes after 2", "sort the rows by `t`"),
        (GOOD + "\n\n1.5,b\n", 6, "`1.5` comes after 2", "sort the rows by `t`"),
        (GOOD + "nan,a\nx\n", 4, "`nan` is no time", "seconds"),
        (b"t,model\n1,a\n2,\xff\xfe\n", None, "the text is not UTF-8", "save the file as UTF-8"),
        (f"t,model\n1,{'a' * 200_000}\n", 2, "the line has 1,000 characters", "write `t,model`"),
    ],
)
def test_a_fault_names_its_line_and_what_to_write(
    tmp_path: Path, content: str | bytes, line: int | None, problem: str, hint: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:{line}: {problem}" if line else f"{path}:")
    assert problem in text
    assert hint in text.partition(problem)[2]
    assert caught.value.exit_code == 2


def test_a_fault_is_found_far_into_a_file(tmp_path: Path) -> None:
    rows = [f"{index / 10},m{index % 7}" for index in range(120_000)]
    rows[110_000] = "5,m0"
    with pytest.raises(TraceError, match=r"calls\.csv:110002: `5` comes after 10999\.9"):
        read_trace(written(tmp_path, "t,model\n" + "\n".join(rows)))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("calls.csv.gz", b"t,model\n1,a\n", ":1: the file is not gzipped (name it `.csv`"),
        ("calls.csv.gz", b"", ":1: the file is empty"),
        (
            "calls.csv.gz",
            gzip.compress(b"t,model\n" + b"1,a\n" * 99, mtime=0)[:-9],
            "the compressed data is cut off or broken",
        ),
        ("calls.csv.gz", gzip.compress(b"", mtime=0)[:5], "the compressed data is cut off or broken"),
    ],
    ids=["not gzipped", "empty", "cut off", "a header alone"],  # the bytes themselves say when they were made
)
def test_what_is_not_whole_is_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    with pytest.raises(TraceError) as caught:
        read_trace(written(tmp_path, content, name))
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "none.csv", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(TraceError, match=problem) as caught:
            read_trace(path)
        assert str(caught.value).startswith(f"{path}: cannot be read")
