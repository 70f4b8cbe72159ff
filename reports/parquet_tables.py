"""Tables as Parquet."""

from collections.abc import Sequence
from itertools import islice

import pyarrow
from pyarrow import parquet

from reports.export_tables import TYPES, ExportTable, tables
from reports.exported import Exported
from reports.whole_files import WholeFiles

LINES_AT_ONCE = 1_000
"""Lines that are held at once, and make a row group."""
ARROW = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """Each table as `NAME.parquet`, with every text as it is."""
    for table in tables(exported):
        schema = pyarrow.schema([(name, ARROW[TYPES.get(name, str)]) for name in table.columns])
        with parquet.ParquetWriter(files.partial(f"{table.name}.parquet"), schema) as writer:
            _write_lines(writer, table, schema)
    return ()


def _write_lines(writer: parquet.ParquetWriter, table: ExportTable, schema: pyarrow.Schema) -> None:
    lines = table.lines()
    while some := list(islice(lines, LINES_AT_ONCE)):
        columns = zip(schema, zip(*some, strict=True), strict=True)
        arrays = [pyarrow.array(values, type=field.type) for field, values in columns]
        writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
