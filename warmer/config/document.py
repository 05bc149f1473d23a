"""A YAML text as plain values, each with its place.

Stricter than PyYAML: the types of YAML 1.2 (core schema), so that `22:00`, `on` and `1_000` are texts; no key twice,
no tags, no merge keys, nothing that grows when it is read. Numbers with a fraction come as Decimal, as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

import yaml

from warmer.config.faults import Faults, Place, place_in, quote

MAX_BYTES = 1 << 20
"""Room for a few thousand models; a larger file is a mistake, and is not even read."""
MAX_DEPTH = 40
"""Levels of lists and mappings. The file itself needs 5; the rest is for a model's input."""
MAX_VALUES = 100_000
"""Values after aliases are followed: a few lines of aliases to aliases can stand for billions."""
MAX_DIGITS = 60
"""The longest number read; Python itself refuses to convert very long ones."""

CORE_SCHEMA = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
)
"""How a text without quotes gets its type: name, pattern, first characters. Source: YAML 1.2.2, section 10.3.2."""

_TAG = "tag:yaml.org,2002:"
_NOT_PRINTABLE = re.compile(f"{yaml.reader.Reader.NON_PRINTABLE.pattern}|[\x85\u2028\u2029]")
"""What YAML forbids, and the line breaks of YAML 1.1 which are none in 1.2: PyYAML would fold them."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds, and where."""

    root: yaml.Node
    value: Any  # of the root: dict, list, str, int, Decimal, bool or None, and so on within
    _pairs: dict[int, dict[Any, tuple[yaml.Node, yaml.Node]]] = field(default_factory=dict)  # by a mapping's id

    def place(self, path: Sequence[str | int]) -> Place:
        """Where the value at `path` stands; where the path leads no further, the last value on its way."""
        node = self.root
        for step in path:
            node = self._child(node, step) or node
        return _place(node.start_mark)

    def key_place(self, path: Sequence[str | int]) -> Place:
        """Where the key that `path` ends with stands."""
        node = self.root
        for step in path[:-1]:
            node = self._child(node, step) or node
        pair = self._pair(node, path[-1])
        return _place((pair[0] if pair else node).start_mark)

    def has(self, path: Sequence[str | int]) -> bool:
        """Whether the text has a value at `path`."""
        node: yaml.Node | None = self.root
        for step in path:
            node = node and self._child(node, step)
        return node is not None

    def texts(self) -> Iterator[tuple[str, Place]]:
        """Every key and value as it is read, and where it stands; each once, however many aliases there are."""
        waiting, seen = [self.root], set[int]()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, yaml.ScalarNode):
                yield node.value, _place(node.start_mark)
            elif isinstance(node, yaml.SequenceNode):
                waiting += node.value
            elif isinstance(node, yaml.MappingNode):
                waiting += (each for pair in node.value for each in pair)

    def _child(self, node: yaml.Node, step: str | int) -> yaml.Node | None:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            item: yaml.Node = node.value[step]
            return item
        pair = self._pair(node, step)
        return pair[1] if pair else None

    def _pair(self, node: yaml.Node, key: str | int) -> tuple[yaml.Node, yaml.Node] | None:
        """Of two equal keys the first: the one whose value counts until the fault is mended."""
        if not isinstance(node, yaml.MappingNode):
            return None
        if id(node) not in self._pairs:
            self._pairs[id(node)] = {
                one.value: (one, value) for one, value in reversed(node.value) if isinstance(one, yaml.ScalarNode)
            }
        return self._pairs[id(node)].get(key)


def read_document(content: bytes, faults: Faults) -> Document:
    """The document in `content`. What is wrong and leaves the rest readable goes to `faults`; else ConfigError."""
    text = _decode(content, faults)
    loader = _StrictLoader(text, faults)
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise faults.fatal(*_explain(error, loader.get_mark())) from None
    except (ValueError, OverflowError):  # "\U00110000" and its like
        raise faults.fatal(
            _place(loader.get_mark()), "this escape or number is out of range", "write the character itself"
        ) from None
    finally:
        loader.dispose()
    if root is None:
        raise faults.fatal(Place(1, 1), "the file is empty", "write at least `models: [{model: owner/name}]`")
    return Document(root, _value(root, faults, depth=1))


def _decode(content: bytes, faults: Faults) -> str:
    if len(content) > MAX_BYTES:
        raise faults.fatal(Place(1, 1), "the file is larger than 1 MiB", "is it the right file? Else divide its models")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise faults.fatal(Place(1, 1), "the file is UTF-16", "save it as UTF-8 without a byte order mark")
    if content.startswith(b"\xef\xbb\xbf"):
        raise faults.fatal(Place(1, 1), "the file begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode("utf-8")
        place = place_in(readable, len(readable))
        raise faults.fatal(place, f"byte {content[error.start]:#04x} is not UTF-8", "save the file as UTF-8") from None
    if found := _NOT_PRINTABLE.search(text):
        place = place_in(text, found.start())
        raise faults.fatal(place, f"the control character U+{ord(found[0]):04X} stands here", "remove or escape it")
    return text


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's loader with the core schema, which stops where a text is deep, huge or refers to itself."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 as declared by PyYAML, filled below

    def __init__(self, text: str, faults: Faults) -> None:
        super().__init__(text)
        self._faults = faults
        self._depth = 0
        self._values = 0
        self._sizes: dict[int, int] = {}  # values in a node, aliases followed; by id, once it is complete

    def fetch_directive(self) -> None:
        raise self._faults.fatal(_place(self.get_mark()), "this line begins with `%`, a directive", "remove it")

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call] # so in the types of PyYAML
        place = _place(event.start_mark)
        before = self._values
        self._values += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._faults.fatal(place, f"lists and mappings are nested over {MAX_DEPTH} deep", "make them flatter")
        if tag := getattr(event, "tag", None):
            self._faults.add(
                place, f"{quote(tag.replace(_TAG, '!!'))} is a tag, and no value here has one", "leave it out"
            )
            event.tag = None
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise self._faults.fatal(place, f"the alias `*{event.anchor}` contains itself", "write the value out")
            self._values += self._sizes[id(node)]
        else:
            self._sizes[id(node)] = self._values - before
        if self._values > MAX_VALUES:
            raise self._faults.fatal(
                place, f"the file holds over {MAX_VALUES:,} values, aliases followed", "divide it, or write aliases out"
            )
        self._depth -= 1
        return node


for _name, _pattern, _first in CORE_SCHEMA:
    _StrictLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _value(node: yaml.Node, faults: Faults, depth: int) -> Any:
    # The loader has bounded the depth as written; aliases can stack it.
    if depth > MAX_DEPTH:
        problem = f"with aliases followed, lists and mappings are nested over {MAX_DEPTH} deep"
        raise faults.fatal(_place(node.start_mark), problem, "make them flatter")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, faults, depth + 1) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, faults, depth)
    return _scalar(node, faults)


def _mapping(node: yaml.MappingNode, faults: Faults, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        place = _place(key_node.start_mark)
        key = _scalar(key_node, faults) if isinstance(key_node, yaml.ScalarNode) else None
        value = _value(value_node, faults, depth + 1)
        if not isinstance(key, str):
            faults.add(place, "this key is not a text", "put it in quotes; before a `:` stands a name")
        elif key in found:
            faults.add(place, f"the key {quote(key)} was there already, on line {lines[key]}", "keep one of them")
        else:
            found[key], lines[key] = value, place.line
    return found


def _scalar(node: yaml.Node, faults: Faults) -> Any:
    place = _place(node.start_mark)
    text = node.value
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text[0] in "tT"
        case "int" | "float" if len(text) > MAX_DIGITS:
            faults.add(place, f"the number {quote(text)} is too long", "put it in quotes if it is a text")
            return None
        case "int":
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        case "float":
            return _decimal(text, place, faults)
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        faults.add(place, "half of a surrogate pair is no character", "write the character itself")
        return None
    return text


def _decimal(text: str, place: Place, faults: Faults) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:  # .inf, .nan, or an exponent of many digits
        number = Decimal("NaN")
    # In JSON it becomes a binary fraction, which has a largest number and a smallest.
    if not number.is_finite() or not isfinite(float(number)) or (number and not float(number)):
        faults.add(place, f"{quote(text)} is not a number that can be kept", "write a finite number")
        return None
    return number


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


_AT_ITS_BEGINNING = True
_SYNTAX: tuple[tuple[str, str, str, bool], ...] = (
    (
        r"'\\t' that cannot start",
        "a tab stands where YAML allows spaces only",
        "indent and separate with spaces",
        False,
    ),
    (r"character '(.+)' that cannot start", r"a text cannot begin with `\1`", "put it in quotes", False),
    (
        r"mapping values are not allowed",
        "a `:` stands where no key can be",
        "is one missing in the line above? Else look at the indentation; a text with `: ` in it needs quotes",
        False,
    ),
    (r"sequence entries are not allowed", "a `- ` stands where no list can be", "begin it on a line of its own", False),
    (r"mapping keys are not allowed", "a `? ` stands where no key can be", "put the text in quotes", False),
    (
        r"could not find expected ':'",
        "this line is neither a key nor a list item",
        "write a `:` and a space after a key",
        _AT_ITS_BEGINNING,
    ),
    (r"found unexpected end of stream", "this quote is never closed", "close it", _AT_ITS_BEGINNING),
    (r"found unexpected document separator", "this quote is never closed", "close it", _AT_ITS_BEGINNING),
    (
        r"unknown escape|expected escape sequence",
        "this is no escape that double quotes know",
        r"write `\\` for a backslash, or use single quotes",
        False,
    ),
    (
        r"expected ',' or '\]'",
        "the list in `[ ]` does not go on like this",
        "write `,` between items, `]` at its end",
        False,
    ),
    (
        r"expected ',' or '}'",
        "the mapping in `{ }` does not go on like this",
        "write `,` between its keys, `}` at its end",
        False,
    ),
    (r"expected <block end>", "this does not fit to what stands above it", "indent it like its neighbours", False),
    (r"expected the node content", "a value is missing here", "write one", False),
    (r"undefined alias", "this alias refers to nothing above it", "a text that begins with `*` needs quotes", False),
    (r"duplicate anchor", "this anchor is there already", "give it another name", False),
    (r"another document", "a second document begins here", "remove the `---`: a file is one document", False),
    (r"expected '<document start>'", "this stands after the end of the document", "remove it", False),
    (r"tag", "this is a tag, and no value here has one", "leave it out", False),
    (r"indentation", "this block's indentation cannot be read", "write `|` or `>` alone on its line", False),
    (r"chomping|comment or a line break", "this block's first line cannot be read", "write `|` or `>` alone", False),
)
"""What PyYAML says (a pattern), what to say instead, what to write, and whether to point at the beginning of it."""


def _explain(error: yaml.MarkedYAMLError, reached: Any) -> tuple[Place, str, str]:
    """A syntax error in words for somebody who edits a file."""
    said = f"{error.context or ''} {error.problem or ''}"
    for pattern, problem, hint, at_its_beginning in _SYNTAX:
        if found := re.search(pattern, said):
            mark = error.context_mark if at_its_beginning else error.problem_mark
            return _place(mark or error.problem_mark or reached), found.expand(problem), hint
    mark = error.problem_mark or error.context_mark or reached
    return _place(mark), "this is not YAML", "look at the indentation; a text with special characters needs quotes"
