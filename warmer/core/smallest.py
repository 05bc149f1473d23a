"""The smallest input that a model's schema allows, made up by the schema alone, whatever the model is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from warmer.core.beat import Contract
from warmer.core.effort import TEXTS
from warmer.core.official import is_left_alone
from warmer.core.plain import one_line
from warmer.core.schema_input import CUT, alternatives, as_list, as_number, faults_in, flat, properties_of
from warmer.core.spec import ModelSpec
from warmer.core.thrift import FILES, TEXT, fits, least_of, thrift_of
from warmer.core.tiny_files import is_hard_to_make, tiny_file
from warmer.errors import ModelRefused, Unavailable

_ROOM = 40_000
_A_VALUE = 40
"""Letters of all that is made up for one input, and what each value counts: a stranger says how many there are."""

_LONGEST = 250  # letters of a fault that is told
_TEXTS = '["hi"]'
_SHAPED = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "a@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

_PROMPTS = TEXTS[:2]
_LISTS_IN_TEXT = re.compile(r"json.{0,40}(list|array)|(list|array).{0,40}json")


@dataclass(frozen=True, slots=True)
class _Made:
    """An input, and what is wrong with it; a sentence a fault, empty where it fits."""

    input: dict[str, Any]
    faults: tuple[str, ...] = ()


def smallest_input(schema: Mapping[str, Any] | None, example: Mapping[str, Any] | None) -> dict[str, Any]:
    """The cheapest input that the schema (references written out) allows, as far as it can be told.

    Required keys, each from its default, its choices, its minimum or its type, files as the tiniest there are; and
    whatever makes a run short, where the model has it. What cannot be made up comes from the `example`. Without a
    schema the example is all there is to go by. See `fitting_input` for one that is known to fit.
    """
    return _made(schema, example).input


def fitting_input(contract: Contract) -> dict[str, Any]:
    """The smallest input of that contract's model. Raises ModelRefused, with what to write, where none can be made.

    Raises Unavailable where the schema is still to come.
    """
    if contract.schema_to_come:
        raise Unavailable(
            f"{contract.target} is booting, and tells what it takes when it is up: that is asked again by itself. With "
            "an `input` in its entry it need not be"
        )
    made = _made(contract.input_schema, contract.example_input)
    if made.faults:
        why = one_line("; ".join(fault[:_LONGEST] for fault in made.faults[:3]))
        raise ModelRefused(
            f"no input can be made up by the schema of {contract.target.slug}: {why}",
            "write an `input` that the model takes in its entry; `warmer inspect` shows the schema",
        )
    return made.input


def made_up_input(model: ModelSpec, contract: Contract) -> dict[str, Any]:
    """What is sent to a model whose entry has no `input`. Raises as `fitting_input` does, unless nothing is sent."""
    if is_left_alone(model, contract.billing):
        return smallest_input(contract.input_schema, contract.example_input)
    return fitting_input(contract)


def example_input(contract: Contract) -> dict[str, Any] | None:
    """The example of that contract's model, which is known to have run; None where there is none that fits."""
    example = dict(contract.example_input or {})
    return example if example and not faults_in(example, contract.input_schema or {}) else None


def default_input(schema: Mapping[str, Any] | None, example: Mapping[str, Any] | None) -> dict[str, Any]:
    """What runs where a caller gives no more than has to be given: that, by the example, and every default."""
    known = dict(example or {})
    if schema is None:
        return known
    defaults = {key: about["default"] for key, about in _flat(schema).items() if about.get("default") is not None}
    required = set(_required(schema))
    about = properties_of(schema)
    given = {key: known[key] for key in required if key in known and fits(known[key], about.get(key, {}))}
    return _made(schema, example, is_thrifty=False).input | defaults | given


def _made(schema: Mapping[str, Any] | None, example: Mapping[str, Any] | None, *, is_thrifty: bool = True) -> _Made:
    known = dict(example or {})
    if schema is None or not schema:
        return _Made(known)
    properties = _flat(schema)
    if not properties and known and not faults_in(known, schema):
        return _Made(known)
    first: _Made | None = None
    maker = _Maker()
    for way in alternatives(schema):
        maker.missing = []
        made = maker.keys(way, known)
        if maker.missing:
            first = first or _Made(made, tuple(maker.missing))
            continue
        thrift = thrift_of(properties, made, known) | _unsaid(properties, made, known) if is_thrifty else {}
        for tried in (made | thrift, made):
            faults = _faults(tried, schema)
            if not faults:
                return _Made(tried)
            first = first or _Made(tried, faults)
    cheaper = known | thrift_of(properties, known, known) if is_thrifty else known
    for tried in (cheaper, known) if known else ():
        if not faults_in(tried, schema):  # nothing is wrong, or nothing can be told
            return _Made(tried)
    return first or _Made(known, _faults(known, schema))


def _faults(made: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, ...]:
    found = faults_in(made, schema)
    return ("the schema is no JSON Schema, so that nothing can be held against it",) if found is None else found


class _Maker:
    """Makes up one input, within a bound on the whole."""

    def __init__(self) -> None:
        self._room = _ROOM
        self.missing: list[str] = []  # what no value could be made up for, though the schema may allow anything there

    def keys(self, schema: Mapping[str, Any], example: Any, at: str = "") -> dict[str, Any]:
        """The required keys of an object, of a flat schema."""
        about, known = properties_of(schema), example if isinstance(example, Mapping) else {}
        made: dict[str, Any] = {}
        for key in _required(schema):
            where = f"{at}{key}"
            if key not in about and key not in known:
                self.missing.append(f"{where} is required, and nothing says what it is")
            elif self._room <= 0:
                self.missing.append(f"{where}: more is required than can be made up")
                break
            else:
                made[key] = self._value(key, about.get(key, {}), known.get(key), where)
        return made

    def _value(self, key: str, schema: Any, example: Any, at: str) -> Any:
        """The first that fits, or else the first."""
        self._room -= _A_VALUE
        if isinstance(schema, Mapping) and CUT in schema:
            self.missing.append(f"{at}: {schema[CUT]}")
            return None
        known, first = len(self.missing), None
        for value in self._candidates(key, schema, example, at):
            missing = self.missing[known:]
            del self.missing[known:]
            if not missing and fits(value, schema):
                return value
            first = first or (value, missing)
            if self._room <= 0:
                break
        value, missing = first or (example, [])
        self.missing += missing
        return value

    def _candidates(self, key: str, schema: Any, example: Any, at: str) -> Iterator[Any]:
        for way in alternatives(schema) or [{}]:
            if way.get("default") is not None:
                yield way["default"]
            if choices := as_list(way.get("enum"))[:20]:
                yield from (example,) if example in choices else ()
                yield from choices
            if "const" in way:
                yield way["const"]
            for kind in _types(way):
                yield from self._by_type(key, kind, way, example, at)
        if example is not None:
            yield example
        yield TEXT[:1]
        yield None

    def _by_type(self, key: str, kind: str, schema: Mapping[str, Any], example: Any, at: str) -> Iterator[Any]:
        match kind:
            case "string":
                yield from self._texts(key, schema, example)
            case "integer" | "number":
                least = least_of({**schema, "type": kind})
                yield 1 if least is None else least
                others = (as_number(schema.get(word)) for word in ("multipleOf", "maximum"))
                yield from (value for value in others if value is not None)
            case "boolean":
                yield False
                yield True
            case "array":
                yield self._list(key, schema, example, at)
                yield []
            case "object":
                yield self.keys(schema, example, f"{at}.")
            case "null":
                yield None
            case _:
                yield TEXT if example is None else example

    def _texts(self, key: str, schema: Mapping[str, Any], example: Any) -> Iterator[str]:
        if schema.get("format") in FILES:
            is_known = isinstance(example, str) and bool(example)
            if is_known and is_hard_to_make(key, schema):
                yield example
            else:
                file = tiny_file(key, schema)
                self._room -= len(file)
                yield file
        elif (shaped := schema.get("format")) in _SHAPED:
            yield _SHAPED[shaped]
        else:
            least = min(_whole(schema.get("minLength"), 0), max(0, self._room))
            text = _text_for(schema)
            self._room -= least
            yield text if least <= len(text) else (TEXT * least)[:least]

    def _list(self, key: str, schema: Mapping[str, Any], example: Any, at: str) -> list[Any]:
        """As many as there have to be; one where none has to, because an empty one is hardly what is asked for."""
        items, made = schema.get("items"), list[Any]()
        known = example[0] if isinstance(example, list) and example else None
        for number in range(max(1, _whole(schema.get("minItems"), 1))):
            if self._room <= 0:
                self.missing.append(f"{at}: more is required than can be made up")
                break
            made.append(self._value(key, items or {}, known, f"{at}.{number}"))
        return made


def _unsaid(properties: Mapping[str, Any], made: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    """What is not required on paper, yet many fail without: something to work on."""
    if made:
        lacking = [key for key in _PROMPTS if key in properties][:1]
    else:
        texts = [key for key in TEXTS if key in properties]
        workable = texts + [key for key, about in properties.items() if about.get("format") in FILES]
        # The example tells which of them, where nothing else does.
        lacking = [key for key in workable if key in example] or workable[:1]
    open_ = [key for key in lacking if key not in made and not properties[key].get("default")]
    about = {key: {word: said for word, said in properties[key].items() if word != "default"} for key in open_}
    return _Maker().keys({"properties": about, "required": open_}, example)


def _text_for(schema: Mapping[str, Any]) -> str:
    description = schema.get("description")
    told = description[:300].lower() if isinstance(description, str) else ""
    return _TEXTS if _LISTS_IN_TEXT.search(told) else TEXT


def _flat(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: flat(about) for key, about in properties_of(schema).items()}


def _required(schema: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(key for key in as_list(flat(schema).get("required")) if isinstance(key, str)))


def _types(schema: Mapping[str, Any]) -> list[str]:
    """What a value may be; null last. A schema that does not say is told by its words."""
    said = schema.get("type")
    names = [name for name in (said if isinstance(said, list) else [said]) if isinstance(name, str)]
    if not names and "properties" in schema:
        names = ["object"]
    if not names and "items" in schema:
        names = ["array"]
    return sorted(names[:8], key=lambda name: name == "null") or ["any"]


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise
