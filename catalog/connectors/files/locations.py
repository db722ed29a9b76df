"""Where mounted files live: one `Root` per PATH of `shoal serve`, local or any pyarrow.fs URI, listed and opened.

A root only ever shows files below it: symbolic links that lead out of it, hidden names (starting with "." or "_")
and paths with ".." or NUL are not there. Listings are kept for a moment (LISTING_TTL_S locally), so that new and
changed files appear without anybody being told.

Hops 2 and 6: names while binding, bytes while reading.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import pyarrow as pa

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.errors import ConfigurationError, DataCorrupted, InsufficientPrivilege, IoError, SqlError, UndefinedFile

LISTING_TTL_S = 1.0
REMOTE_LISTING_TTL_S = 5.0
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
_WILDCARDS = re.compile(r"[*?\[]")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a listing: `path` is relative to the root with "/" between parts, "" if the root is the file."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file one can open, in the state (size, time) it had when it was listed."""

    root: Root
    file: DataFile

    @property
    def display(self) -> str:
        """The full path or URI, as messages name it."""
        return self.root.display(self.file.path)

    @property
    def key(self) -> tuple[str, int, int]:
        """Equal keys mean equal contents: what caches go by."""
        return self.display, self.file.mtime_ns, self.file.size

    @property
    def compression(self) -> str | None:
        return COMPRESSIONS.get(os.path.splitext(self.display)[1].lower())

    def open(self) -> pa.NativeFile:
        """The file for random access; the caller closes it.

        Raises: UndefinedFile (58P01) if it is gone, IoError (58030) if it is no longer the listed one.
        """
        return self.root.open(self.file)

    def open_stream(self) -> pa.NativeFile:
        """The file's bytes from the start, decompressed."""
        raw = self.open()
        return pa.CompressedInputStream(raw, self.compression) if self.compression else raw

    def check(self) -> None:
        """Raises as `open` does, for those who keep a file open (local roots only: elsewhere it costs a request)."""
        self.root.check(self.file)

    def error(self, error: Exception, what: str) -> SqlError:
        """The typed error for what pyarrow raised while reading this file as a `what`."""
        if isinstance(error, SqlError):
            return error
        if isinstance(error, FileNotFoundError):
            return UndefinedFile(f'file "{self.display}" does not exist')
        if isinstance(error, PermissionError):
            return InsufficientPrivilege(f'file "{self.display}" may not be read: permission denied')
        text = str(error).strip().rstrip(".")
        if isinstance(error, OSError) and (error.errno is not None or (self.root.remote and "Error" in text)):
            return IoError(f'file "{self.display}" could not be read: {text}')
        return DataCorrupted(f'file "{self.display}" is not valid {what}: {text}')


class Root(ABC):
    """One mounted path: a folder, a file, or a glob."""

    remote = False

    def __init__(self, url: str, base: str, pattern: str) -> None:
        self.url, self.base = url, base
        self._pattern = glob(pattern) if pattern else None
        self._lock = threading.Lock()
        self._listed_at = -1e9
        self._files: tuple[DataFile, ...] = ()
        self.generation = 0
        """Changes with the listing."""

    @property
    def label(self) -> str:
        """The folder's or file's own name."""
        return self.base.rstrip("/").rpartition("/")[2]

    def display(self, path: str) -> str:
        return f"{self.base.rstrip('/')}/{path}" if path else self.base

    def files(self) -> tuple[DataFile, ...]:
        """All visible files, sorted by path. Raises: UndefinedFile (58P01) when the root itself is missing."""
        with self._lock:
            ttl = REMOTE_LISTING_TTL_S if self.remote else LISTING_TTL_S
            if time.monotonic() - self._listed_at > ttl:
                found = self._list()
                if self._pattern is not None:
                    found = [file for file in found if self._pattern.match(file.path)]
                files = tuple(sorted(found, key=lambda file: file.path))
                if files != self._files:
                    self._files = files
                    self.generation += 1
                self._listed_at = time.monotonic()
            return self._files

    def forget(self) -> None:
        """The next `files` looks again."""
        self._listed_at = -1e9

    @abstractmethod
    def _list(self) -> list[DataFile]: ...

    @abstractmethod
    def open(self, file: DataFile) -> pa.NativeFile: ...

    def check(self, file: DataFile) -> None:  # noqa: B027 (elsewhere it would cost a request)
        """Raises when a local file is no longer the listed one."""

    def _changed(self, path: str) -> IoError:
        self.forget()
        return IoError(f'file "{self.display(path)}" changed while it was being read',
                       hint="Run the query again to read the new contents.")


class LocalRoot(Root):
    def __init__(self, url: str) -> None:
        path = os.path.abspath(url)
        pattern = ""
        if _WILDCARDS.search(path) and not os.path.exists(path):
            path, pattern = _split_glob(path)
        super().__init__(url, path, pattern)

    def _list(self) -> list[DataFile]:
        try:
            status = os.stat(self.base)
        except OSError as error:
            raise self._os_error(error, self.base) from None
        if not os.path.isdir(self.base):
            return [DataFile("", status.st_size, status.st_mtime_ns)]
        top = os.path.realpath(self.base)
        found: list[DataFile] = []
        seen = {top}
        folders = [(top, "")]
        while folders:
            folder, prefix = folders.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError as error:
                if not prefix:
                    raise self._os_error(error, self.base) from None
                _log.warning("folder %s cannot be listed: %s", folder, error)
                continue
            for entry in entries:
                self._visit(entry, prefix + entry.name, top, seen, folders, found)
        return found

    def _visit(self, entry: os.DirEntry[str], path: str, top: str, seen: set[str], folders: list[tuple[str, str]],
               found: list[DataFile]) -> None:
        if hidden(entry.name):
            return
        try:
            real = entry.path
            if entry.is_symlink():
                real = os.path.realpath(entry.path)
                if not (real + os.sep).startswith(top.rstrip(os.sep) + os.sep):
                    return  # leads out of what was mounted
            if entry.is_dir():
                if real not in seen:
                    seen.add(real)
                    folders.append((real, path + "/"))
            elif entry.is_file():
                status = entry.stat()
                found.append(DataFile(path, status.st_size, status.st_mtime_ns))
        except OSError:  # vanished between scandir and stat
            return

    def open(self, file: DataFile) -> pa.NativeFile:
        self.check(file)
        full = self.display(file.path)
        try:
            return pa.OSFile(full)
        except OSError as error:
            raise self._os_error(error, full) from None

    def check(self, file: DataFile) -> None:
        full = self.display(file.path)
        _refuse_escape(file.path)
        try:
            status = os.stat(full)
        except OSError as error:
            self.forget()
            raise self._os_error(error, full) from None
        if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
            raise self._changed(file.path)

    def _os_error(self, error: OSError, path: str) -> SqlError:
        what = "path" if path == self.base else "file"
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return UndefinedFile(f'{what} "{path}" does not exist')
        if error.errno in (errno.EACCES, errno.EPERM):
            return InsufficientPrivilege(f'{what} "{path}" may not be read: permission denied')
        return IoError(f'{what} "{path}" could not be read: {error.strerror or error}')


class RemoteRoot(Root):
    """A path of any file system that pyarrow.fs knows by URI. Connects at first use."""

    remote = True

    def __init__(self, url: str) -> None:
        head, mark, query = url.partition("?")
        pattern = ""
        if _WILDCARDS.search(head):
            head, pattern = _split_glob(head)
        super().__init__(url, head, pattern)
        self._uri = head + mark + query
        self._connected: tuple[Any, str] | None = None

    def _filesystem(self) -> tuple[Any, str]:
        from pyarrow import fs
        if self._connected is None:
            try:
                self._connected = fs.FileSystem.from_uri(self._uri)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise ConfigurationError(f'"{self.url}" cannot be mounted: {error}') from None
        return self._connected

    def _list(self) -> list[DataFile]:
        from pyarrow import fs
        filesystem, base = self._filesystem()
        try:
            info = filesystem.get_file_info(base)
            if info.type == fs.FileType.File:
                return [DataFile("", info.size or 0, info.mtime_ns or 0)]
            if info.type == fs.FileType.NotFound:
                raise UndefinedFile(f'path "{self.url}" does not exist')
            infos = filesystem.get_file_info(fs.FileSelector(base, recursive=True))
        except (pa.ArrowException, OSError) as error:
            raise IoError(f'path "{self.url}" could not be listed: {error}') from None
        found = []
        for info in infos:
            path = info.path[len(base):].lstrip("/")
            if info.type == fs.FileType.File and not any(hidden(part) for part in path.split("/")):
                found.append(DataFile(path, info.size or 0, info.mtime_ns or 0))
        return found

    def open(self, file: DataFile) -> pa.NativeFile:
        _refuse_escape(file.path)
        filesystem, base = self._filesystem()
        opened = filesystem.open_input_file(f"{base.rstrip('/')}/{file.path}" if file.path else base)
        if opened.size() != file.size:
            opened.close()
            raise self._changed(file.path)
        return opened


def roots(definition: CatalogDefinition) -> tuple[Root, ...]:
    """The mounted paths of a `files` catalog: a path, glob or URI, or `files:?path=..&path=..`.

    Raises: ConfigurationError (F0000). Nothing is looked at yet.
    """
    url, paths = definition.url, []
    if url.startswith("files:"):
        path, _, query = url.removeprefix("files:").partition("?")
        paths = [unquote(path.removeprefix("//"))] if path else []
        for key, value in parse_qsl(query, keep_blank_values=True):
            if key != "path":
                raise ConfigurationError(f'catalog "{definition.name}": files: knows no option "{key}", only "path"')
            paths.append(value)
    else:
        paths = [url]
    return tuple(_root(definition.name, path) for path in dict.fromkeys(paths))


def _root(catalog: str, path: str) -> Root:
    if not path or "\0" in path:
        raise ConfigurationError(f'catalog "{catalog}": {path!r} is not a path')
    scheme, mark, rest = path.partition("://")
    if not mark or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return LocalRoot(path)
    if scheme.lower() == "file":
        return LocalRoot(unquote(rest.removeprefix("localhost")))
    return RemoteRoot(path)


def hidden(name: str) -> bool:
    """Names other tools write for themselves: .crc files, _SUCCESS, _temporary (but `_k=v` is a partition)."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _refuse_escape(path: str) -> None:
    if "\0" in path or path.startswith("/") or ".." in path.split("/"):
        raise UndefinedFile(f"file {path!r} is outside of what was mounted")


def _split_glob(path: str) -> tuple[str, str]:
    """(folder that holds all matches, pattern relative to it)."""
    parts = path.split("/")
    first = next(i for i, part in enumerate(parts) if _WILDCARDS.search(part))
    return "/".join(parts[:first]) or "/", "/".join(parts[first:])


def glob(pattern: str) -> re.Pattern[str]:
    """Matches a relative path that the pattern names, or one below a folder that it names. `**` is any depth."""
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and (end := pattern.find("]", i + 2)) > 0:
            body = pattern[i + 1:end].replace("\\", "\\\\")
            out, i = out + "[" + ("^" + body[1:] if body[0] in "!^" else body) + "]", end + 1
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    return re.compile(rf"{out}(?:/.*)?\Z", re.DOTALL)
