"""What a stored table must hold to be used: columns of some types, values in them, known words, and no row twice.

Further columns are no fault: later versions may add some.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Expected:
    """What a table must hold.

    Args:
        schema: its columns and their types.
        core: those that must be there with a value in every row, but for numbers with a fraction; all of them by
            default. Of others earlier versions may have written none.
        key: columns in which no two rows are the same.
        may_be_empty: there need be no row.
        words: columns whose values are known, and which they are.
    """

    schema: pa.Schema
    core: Collection[str] | None = None
    key: Collection[str] = ()
    words: Mapping[str, Collection[str]] = field(default_factory=dict)
    may_be_empty: bool = False

    def fault_of(self, table: pa.Table) -> str:
        """What is wrong with a table, as the end of a sentence that begins with its file; empty if nothing."""
        for name in self.schema.names:
            if name in table.column_names:
                if fault := self._fault_of_column(name, table[name]):
                    return f"{fault} in its column {name}"
            elif self._is_core(name):
                return f"has no column {name}"
        if not (len(table) or self.may_be_empty):
            return "holds no row"
        if self.key:
            rows = table.select(list(self.key)).group_by(list(self.key)).aggregate([])
            if len(rows) < len(table):
                return f"holds a row twice, by {' and '.join(self.key)}"
        return ""

    def _is_core(self, name: str) -> bool:
        return self.core is None or name in self.core

    def _fault_of_column(self, name: str, column: pa.ChunkedArray) -> str:
        wanted = self.schema.field(name).type
        if not _is_like(column.type, wanted):
            return f"holds {column.type} in place of {wanted}"
        if column.null_count and self._is_core(name) and not pa.types.is_floating(wanted):
            return "lacks values"
        if name in self.words and (foreign := set(column.unique().to_pylist()) - set(self.words[name])):
            return f"holds the unknown word {str(min(foreign))[:40]!r}"
        return ""


def _is_like(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of a type can be used as those of another."""
    same_kind = (
        (_is_text, _is_text),
        (pa.types.is_integer, pa.types.is_integer),
        (pa.types.is_floating, lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind)),
        (_is_list, lambda kind: _is_list(kind) and _is_like(kind.value_type, wanted.value_type)),
        (_is_bytes, _is_bytes),
        (pa.types.is_fixed_size_binary, pa.types.is_fixed_size_binary),
    )
    return any(is_kind(wanted) and fits(found) for is_kind, fits in same_kind) or found == wanted


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
