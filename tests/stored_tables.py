"""Tables as a data root holds them, of which a test says only what it is about."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.storage.files import write_table


def store(path: Path, rows: pd.DataFrame, schema: pa.Schema) -> None:
    """Write a table with all columns of its schema; those that the rows lack hold nothing, further ones stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    filled = rows.assign(
        **{name: [_nothing(schema.field(name).type)] * len(rows) for name in schema.names if name not in rows}
    )
    fields = [schema.field(name) for name in schema.names]
    more = [name for name in rows if name not in schema.names]
    table = pa.Table.from_pandas(filled[schema.names], schema=pa.schema(fields), preserve_index=False)
    for name in more:
        table = table.append_column(name, pa.array(rows[name].tolist()))
    write_table(path, table)


def _nothing(kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return ""
    return [0] * 4 if pa.types.is_fixed_size_list(kind) else 0
