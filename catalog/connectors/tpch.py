"""`tpch:?scale=1`: the TPC-H tables at any scale, generated once as Parquet by the extra `tpcgen-cli` and cached.

The files are made at the first use of a table, in a folder of their own that appears under its final name only when
complete; from then on this is the files connector, with the keys that the benchmark's specification declares.

Spec: TPC Benchmark H 3.0.1, 1.4 "Table Layouts".
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from shoal.catalog.connector import CatalogDefinition, DynamicFilter, Split, TableHandle, TableName
from shoal.catalog.connectors.files import FilesConnector
from shoal.catalog.connectors.urls import path_and_options
from shoal.catalog.declarations import Constraint
from shoal.catalog.errors import ConfigurationError, IoError

_PRIMARY: dict[str, tuple[str, ...]] = {
    "customer": ("c_custkey",), "lineitem": ("l_orderkey", "l_linenumber"), "nation": ("n_nationkey",),
    "orders": ("o_orderkey",), "part": ("p_partkey",), "partsupp": ("ps_partkey", "ps_suppkey"), "region": ("r_regionkey",),
    "supplier": ("s_suppkey",),
}
_FOREIGN: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "customer": ((("c_nationkey",), "nation"),),
    "lineitem": ((("l_orderkey",), "orders"), (("l_partkey", "l_suppkey"), "partsupp")),
    "nation": ((("n_regionkey",), "region"),),
    "orders": ((("o_custkey",), "customer"),),
    "partsupp": ((("ps_partkey",), "part"), (("ps_suppkey",), "supplier")),
    "supplier": ((("s_nationkey",), "nation"),),
}
_GENERATOR = "tpcgen-cli"


class TpchConnector(FilesConnector):
    """Options: `scale` (1 is about 1 GB of text; default 1). The cache is $SHOAL_CACHE/tpch, else ~/.cache/shoal/tpch.

    Raises: ConfigurationError (F0000) for a bad scale, or where neither the data nor the generator is there.
    """

    kind: ClassVar[str] = "tpch"

    def __init__(self, definition: CatalogDefinition) -> None:
        _, options = path_and_options(definition, {"scale"})
        self.scale = options.get("scale", "1")
        if not re.fullmatch(r"\d+(\.\d+)?", self.scale) or not 0 < float(self.scale) <= 100_000:
            raise ConfigurationError(f'catalog "{definition.name}": scale {self.scale!r} is not a number above 0')
        cache = os.environ.get("SHOAL_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "shoal")
        self.folder = Path(cache, "tpch", f"sf{float(self.scale):g}")
        super().__init__(CatalogDefinition(definition.name, str(self.folder.absolute())))
        self.definition = definition
        if not self.folder.is_dir():
            self._generator()

    def tables(self, schema: str) -> list[TableName]:
        return [TableName(schema, name) for name in sorted(_PRIMARY)] if schema == self.default_schema else []

    def table(self, schema: str, name: str) -> TableHandle | None:
        if schema != self.default_schema or name not in _PRIMARY:
            return None
        self._generate()
        return super().table(schema, name)

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        name = handle.name
        foreign = [Constraint(f"{name}_{target}_fkey", "foreign", columns, (handle.schema, target), _PRIMARY[target])
                   for columns, target in _FOREIGN.get(name, ())]
        return (Constraint(f"{name}_pkey", "primary", _PRIMARY[name]), *foreign)

    def pieces(self, handle: TableHandle, split: Split, dynamic_filter: DynamicFilter) -> Iterator[Split] | None:
        self._generate()
        return super().pieces(handle, split, dynamic_filter)

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        self._generate()  # a worker on another machine makes its own, which is the same
        yield from super().read(handle, split, columns, batch_rows, dynamic_filter)

    def _generator(self) -> str:
        """The generator's program: in this Python environment, else on the PATH."""
        found = shutil.which(_GENERATOR, path=sysconfig.get_path("scripts")) or shutil.which(_GENERATOR)
        if found is None:
            raise ConfigurationError(f'catalog "{self.name}": TPC-H tables need the program {_GENERATOR}, which is not '
                                     "installed", hint="Run: pip install 'shoal[tpch]'")
        return found

    def _generate(self) -> None:
        """Makes the files unless they are there; processes that need them at the same time wait for the first."""
        if self.folder.is_dir():
            return
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with open(f"{self.folder}.lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self.folder.is_dir():
                    self._run()
        except OSError as error:
            raise IoError(f'catalog "{self.name}": cannot write TPC-H tables to "{self.folder}": {error.strerror}') from None

    def _run(self) -> None:
        partial = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}-", dir=self.folder.parent))
        try:
            done = subprocess.run([self._generator(), "tpch", "parquet", "-s", self.scale, "-o", str(partial)],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            missing = [name for name in _PRIMARY if not (partial / f"{name}.parquet").is_file()]
            if done.returncode or missing:
                reason = done.stderr.strip().splitlines()[-1:] or [f"{', '.join(missing)} missing"]
                raise IoError(f'catalog "{self.name}": {_GENERATOR} failed: {reason[0]}')
            os.chmod(partial, 0o755)
            os.rename(partial, self.folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
