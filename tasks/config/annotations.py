"""What the annotation of a setting tells, for those who describe settings."""

import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any


def kinds(annotation: Any) -> Iterator[Any]:
    """The types that a type is made of, without `None` and what annotates them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from kinds(typing.get_args(annotation)[0])
    elif origin in (typing.Union, UnionType):
        for one in typing.get_args(annotation):
            yield from kinds(one)
    elif annotation is not type(None):
        yield annotation
