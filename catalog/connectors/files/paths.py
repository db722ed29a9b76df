"""Mounted files named by a path in SQL: FROM 'orders/*.parquet'.

A path is relative to any mounted root, or begins with the root's own name, or is the whole path or URI of a file below a
root. Only what a root lists can match, so nothing beside the roots is ever looked at: not through "..", not through
symbolic links, not by an absolute path.

Hop 2 (names while binding) and planning.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.catalog.connectors.files.formats import Format
from shoal.catalog.connectors.files.locations import Root, Source, glob
from shoal.catalog.connectors.files.tables import FileTable, TableFile, format_of, partitions_of
from shoal.catalog.errors import DatatypeMismatch, InsufficientPrivilege


def table_name(path: str) -> str:
    """What the table of a path is called in plans: no table of a listing can be called so."""
    return f"'{path}'"


def path_of(name: str) -> str | None:
    """The path, of such a name."""
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == "'" else None


def matching(roots: Sequence[Root], formats: Sequence[Format], path: str) -> FileTable | None:
    """The files that a path or glob names, as one table; None for none.

    Raises: InsufficientPrivilege (42501) for "..", and for an absolute path that is below no root; DatatypeMismatch
    (42804) for files of several formats.
    """
    if ".." in path.split("/") or "\0" in path:
        raise InsufficientPrivilege(f'path "{path}" may not leave the folders that are mounted')
    whole = path.startswith("/") or "://" in path
    if whole and not any(_below(path, root) for root in roots):
        raise InsufficientPrivilege(f'path "{path}" is not in a folder that is mounted')
    pattern = glob(path.removeprefix("./").rstrip("/"))
    by_suffix = {suffix: each for each in formats for suffix in each.suffixes}
    found: list[TableFile] = []
    chosen: Format | None = None
    for number, root in enumerate(roots):
        for file in root.files():
            shown = file.path or root.label
            if not any(pattern.match(name) for name in ((root.display(file.path),) if whole else
                                                        (shown, f"{root.label}/{file.path}"))):
                continue
            folder, _, filename = shown.rpartition("/")
            _, each = format_of(filename, by_suffix)
            if each is None:
                continue
            if chosen is not None and each is not chosen:
                raise DatatypeMismatch(f'path "{path}" names files of several formats: {chosen.name} and {each.name}')
            chosen = each
            found.append(TableFile(number, Source(root, file), partitions_of(folder.split("/") if folder else [])[1]))
    return None if chosen is None else FileTable(table_name(path), chosen, tuple(found))


def _below(path: str, root: Root) -> bool:
    base = root.base.rstrip("/")
    return path == base or path.startswith(base + "/")
