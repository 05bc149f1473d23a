"""Entries of a file changed in its text: what is not changed stays as it is, to the byte, comments among it.

The text itself is cut and pasted at the places the reader found. To load and dump the file anew would set all of it
in another hand. What comes out is read again and must say what was wanted, or nothing is written.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from warmer.config import dump, parse
from warmer.config.document import read_document
from warmer.config.effective import entry as entry_of
from warmer.config.faults import Faults
from warmer.core.spec import ModelSpec, PolicyName, Spec, TargetKind
from warmer.errors import ConfigError, UsageError

_KEYS = ("hours", "policy", "cold_target", "cold_start_price", "every", "shadow")
"""The keys that may be changed, in the order in which new ones are written."""
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


@dataclass(frozen=True, slots=True)
class _Cut:
    """A stretch of the text, and what to put in its place."""

    start: int
    end: int
    text: str


def edited(content: bytes, wanted: Mapping[str, ModelSpec], *, path: str) -> bytes:
    """`content`, in which the entries named say what `wanted` says of hours, policy, what it aims at, every and shadow.

    A key that an entry has from `defaults` it gets of its own. Raises UsageError where other entries would change too,
    or the file would not pass.
    """
    before = parse(content, path=path)
    text = content.decode()
    entries = _pairs(read_document(content, Faults(path)).root)["models"][1].value
    cuts = [
        cut
        for model, entry in zip(before.models, entries, strict=True)
        if model.name in wanted
        for cut in _cuts(text, entry, entry_of(model), entry_of(wanted[model.name]))
    ]
    for cut in sorted(cuts, key=lambda cut: cut.start, reverse=True):
        text = text[: cut.start] + cut.text + text[cut.end :]
    after, names = text.encode(), ", ".join(wanted)
    try:
        said = parse(after, path=path)
    except ConfigError as error:
        raise UsageError(f"{path} would not pass with {names} changed; edit it by hand: {error.faults[0]}") from error
    if not _says(said, before, wanted):
        raise UsageError(f"{path}: {names} cannot be changed alone: they share a value with others; edit it by hand")
    return after


def replace_file(path: Path, *, before: bytes, after: bytes) -> None:
    """Put `after` in the place of `before`, as a whole or not at all; owner and mode stay, a link still leads there.

    Raises UsageError where the file is another one by now, or cannot be written.
    """
    try:
        target = path.resolve(strict=True)
        facts = target.stat()
        if target.read_bytes() != before:
            raise UsageError(f"{path} was changed meanwhile, and was left as it is; run this again")
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(after)
                if (os.getuid(), os.getgid()) != (facts.st_uid, facts.st_gid):
                    os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(facts.st_mode))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror} (run this as its owner, or apply the diff by hand)"
        ) from error


def _says(after: Spec, before: Spec, wanted: Mapping[str, ModelSpec]) -> bool:
    """Whether `after` is `before`, but for what was wanted."""
    models = tuple(wanted.get(model.name, model) for model in before.models)
    same_elsewhere = replace(after, models=models) == replace(before, models=models)
    return same_elsewhere and [_heeded(one) for one in after.models] == [_heeded(one) for one in models]


def _heeded(model: ModelSpec) -> ModelSpec:
    """Without what the entry may have from `defaults` and its policy does not heed."""
    if model.policy is PolicyName.ADAPTIVE:
        return replace(model, shadow=None)
    return replace(model, shadow=None, cold_target=None, cold_start_price=None)


def _pairs(node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Keys and values of a mapping, by the key's text."""
    return {key.value: (key, value) for key, value in node.value}


def _cuts(text: str, entry: yaml.Node, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[_Cut]:
    own = _pairs(entry)
    fresh: dict[str, list[str]] = {}
    in_braces = bool(entry.flow_style)  # type: ignore[attr-defined] # of every mapping's node
    for key in _KEYS:
        if old.get(key) == new.get(key):
            continue
        if key not in new:
            if key in own:
                yield _dropped(text, entry, key, in_braces=in_braces)
        elif key in own:
            yield _replaced(text, *own[key], _written(new[key], in_braces=in_braces))
        else:
            target: str = next(kind.value for kind in TargetKind if kind.value in own)
            anchor = "policy" if key == "cold_target" and "policy" in own else target
            fresh.setdefault(anchor, []).append(f"{key}: {_written(new[key], in_braces=in_braces)}")
    for anchor, lines in fresh.items():
        yield _inserted(text, *own[anchor], lines, in_braces=in_braces)


def _written(value: Any, *, in_braces: bool) -> str:
    """A value on one line."""
    if isinstance(value, list):
        return f"[{', '.join(_written(item, in_braces=True) for item in value)}]"
    plain = dump({"k": value}).removeprefix("k: ").rstrip("\n")
    return json.dumps(value, ensure_ascii=False) if in_braces and re.search(r"[,\[\]{}]", plain) else plain


def _inserted(text: str, key: yaml.Node, value: yaml.Node, lines: list[str], *, in_braces: bool) -> _Cut:
    """New keys after that one: in its braces, or on lines of their own under its line."""
    end = _end(value)
    if in_braces:
        return _Cut(end, end, "".join(f", {line}" for line in lines))
    at = _line_end(text, end)
    return _Cut(at, at, "".join(f"{_newline(text)}{' ' * key.start_mark.column}{line}" for line in lines))


def _replaced(text: str, key: yaml.Node, value: yaml.Node, written: str) -> _Cut:
    """Another value; the comments within one of several lines follow it on lines of their own."""
    after_key = key.end_mark.index
    if value.start_mark.index < after_key:  # an alias: the value itself stands where its anchor is
        alias = re.compile(r"\*[^\s,\]}]+").search(text, after_key)
        return _Cut(alias.start(), alias.end(), written) if alias else _Cut(after_key, after_key, "")
    start, end = text.index(":", after_key) + 1, _end(value)
    if "\n" not in text[start:end]:
        return _Cut(value.start_mark.index, end, written)
    bare = text
    for leaf in _leaves(value):
        at, until = leaf.start_mark.index, leaf.end_mark.index
        bare = bare[:at] + "x" * (until - at) + bare[until:]
    first, *others = (_COMMENT.search(line) for line in bare[start:end].split("\n"))
    indent = f"{_newline(text)}{' ' * key.start_mark.column}"
    comments = "".join(f"{indent}{found[0].rstrip()}" for found in others if found)
    return _Cut(start, end, f" {written}{f'  {first[0].rstrip()}' if first else ''}{comments}")


def _dropped(text: str, entry: yaml.Node, key: str, *, in_braces: bool) -> _Cut:
    """No such key; a comment beside it stays, on a line of its own."""
    pairs = list(entry.value)
    place = next(index for index, (name, _) in enumerate(pairs) if name.value == key)
    start, end = pairs[place][0].start_mark.index, _end(pairs[place][1])
    if in_braces:
        return _Cut(_end(pairs[place - 1][1]), end, "") if place else _Cut(start, pairs[1][0].start_mark.index, "")
    rest = _line_end(text, end)
    if comment := _COMMENT.search(text, end, rest):
        return _Cut(start, comment.start(), "")
    return _Cut(text.rindex("\n", 0, start), text.index("\n", end) if rest < len(text) else rest, "")


def _end(node: yaml.Node) -> int:
    """Where a value ends. A block's own mark lies behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:  # type: ignore[attr-defined] # collections
        end: int = node.end_mark.index
        return end
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _leaves(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        yield node
        return
    for item in node.value:
        for child in item if isinstance(item, tuple) else (item,):
            yield from _leaves(child)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end - 1 if text[end - 1] == "\r" else end


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
