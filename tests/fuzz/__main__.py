"""Coverage-guided fuzzing of what reads foreign bytes, for as long as asked: `make fuzz MINUTES=30`.

Each target of `targets` gets its share of the time, in a process of its own, by libFuzzer (atheris): it keeps what
reaches new code, calls an input that takes over 20 s or 1 GB a find too, and starts from tests/corpus, which is
replayed first. Prints one table. Finds are put into tests/corpus, where the tests replay them from then on; exits 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus"
GROWN = ROOT / ".fuzz"
"""What reached new code in earlier runs: not kept with the project, found again within minutes."""
SLOWEST_S, MOST_MB, LONGEST_B = 20, 1024, 8192
SHARES = {"file": 3, "exchange": 2}
"""Of the time; 1 for each other target."""


@dataclass
class Run:
    target: str
    kept: int  # inputs of tests/corpus
    inputs: int  # tried
    edges: int  # of the code that were reached
    finds: list[Path]
    took_s: float
    said: str


def fuzz(target: str, seconds: float) -> Run:
    """One target in a process of its own."""
    kept, grown, finds = CORPUS / target, GROWN / target, GROWN / f"{target}.finds"
    for folder in (kept, grown, finds):
        folder.mkdir(parents=True, exist_ok=True)
    words = GROWN / f"{target}.words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in sorted(_words(kept.iterdir()))))
    begun = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, __file__, "--only", target, str(begun + seconds), str(grown), str(kept)),
            *(f"-dict={words}", f"-rss_limit_mb={MOST_MB}", f"-max_len={LONGEST_B}"),
            *(f"-timeout={SLOWEST_S}", f"-report_slow_units={SLOWEST_S}"),
            *(f"-artifact_prefix={finds}/", "-print_final_stats=1", "-close_fd_mask=1"),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    found = [path.rename(kept / path.name) for path in finds.iterdir()]
    return Run(
        target=target,
        kept=sum(1 for _ in kept.iterdir()),
        inputs=_last(r"number_of_executed_units: (\d+)", done.stderr),
        edges=_last(r"\bcov: (\d+)", done.stderr),
        finds=found,
        took_s=time.monotonic() - begun,
        said=_told(done.stderr) if found or done.returncode else "",
    )


def _last(pattern: str, text: str) -> int:
    return int((re.findall(pattern, text) or ["0"])[-1])


def _told(log: str) -> str:
    """What went wrong, without the progress before it."""
    lines = [line for line in log.splitlines() if not re.match("INFO: |#[0-9]+|WARNING: Failed to find", line)]
    return "\n".join(lines[-60:]) + "\n"


def _words(files: Iterable[Path]) -> set[str]:
    """What a target's inputs are made of: the fuzzer puts these together anew."""
    texts = (path.read_bytes()[:LONGEST_B].decode("utf-8", "ignore") for path in files)
    return {word for text in texts for word in re.findall(r"[!-~][\w.:/-]{0,40}[!-~]?", text, re.ASCII)}


def _escaped(word: str) -> str:
    return "".join(sign if sign.isalnum() else f"\\x{ord(sign):02x}" for sign in word)


def only(target: str, until: float, arguments: list[str]) -> None:
    """In a process of its own: everything of ours that is imported counts what it reaches. `until`: by the clock."""
    import atheris

    atheris.enabled_hooks.add("str")  # what `startswith` and its like wait for is found too
    with atheris.instrument_imports(include=["warmer", "yaml"]):
        from fuzz.targets import TARGETS
    left_s = max(1, round(until - time.monotonic()))
    atheris.Setup([sys.argv[0], *arguments, f"-max_total_time={left_s}"], TARGETS[target])
    atheris.Fuzz()


def main() -> None:
    sys.path[0] = str(ROOT / "tests")
    if sys.argv[1:2] == ["--only"]:
        only(sys.argv[2], float(sys.argv[3]), sys.argv[4:])
        return
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="of wall time, for all targets (default: 2)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    asked = parser.parse_args()
    chosen = asked.targets or list(TARGETS)
    if unknown := set(chosen) - TARGETS.keys():
        parser.error(f"no target {', '.join(unknown)}: there are {', '.join(TARGETS)}")
    at_once = os.cpu_count() or 1
    share_s = asked.minutes * 60 * at_once / sum(SHARES.get(target, 1) for target in chosen)
    chosen.sort(key=lambda target: SHARES.get(target, 1), reverse=True)  # or the last one would go on alone
    with ThreadPoolExecutor(at_once) as pool:
        runs = list(pool.map(lambda target: fuzz(target, share_s * SHARES.get(target, 1)), chosen))

    print(f"{'target':10} {'kept':>6} {'inputs':>10} {'edges':>7} {'seconds':>8} {'finds':>6}")
    for one in runs:
        print(f"{one.target:10} {one.kept:6} {one.inputs:10,} {one.edges:7,} {one.took_s:8.0f} {len(one.finds):6}")
    print(f"{'all':10} {sum(one.kept for one in runs):6} {sum(one.inputs for one in runs):10,}")
    for one in runs:
        for path in one.finds:
            print(f"\n{one.target}: {path.relative_to(ROOT)} (replayed by: pytest tests/fuzz -k {path.name})")
        print(one.said, end="")
    sys.exit(any(one.finds or one.said for one in runs))


if __name__ == "__main__":
    main()
