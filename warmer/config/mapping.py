"""What the mappings of the file have in common: their keys, told to people and to editors."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from warmer.config.faults import WrongValueError


def key(description: str, *examples: Any, default: Any = None, alias: str | None = None) -> Any:
    """A key that may be left out, with what the schema says of it. `alias`: what it is called in the file."""

    def told(schema: dict[str, Any]) -> None:
        schema.pop("default", None)
        if default is not None:
            schema["default"] = default

    return Field(default=None, description=description, examples=list(examples), json_schema_extra=told, alias=alias)


def text(pattern: str | None = None, **more: Any) -> WithJsonSchema:
    """A text to the schema."""
    return WithJsonSchema({"type": "string", **({"pattern": f"^(?:{pattern})$"} if pattern else {}), **more})


def words(known: Any) -> WithJsonSchema:
    """One of some words to the schema."""
    return WithJsonSchema({"enum": [str(word) for word in known]})


class Mapped(BaseModel):
    """A mapping of the file: no key but its own, no value converted on the way."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    example: ClassVar[str]

    @classmethod
    def names(cls) -> list[str]:
        """What may stand in it."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise WrongValueError("a mapping is meant here", f"write {cls.example}")
        return value


class Told(Mapped):
    """A mapping that says nothing where it is empty."""

    empty: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, value: Any) -> Any:
        if value == {}:
            raise WrongValueError(cls.empty, f"write {cls.example}")
        return value
