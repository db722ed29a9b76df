"""Places where clients are installed: virtual environments, node_modules folders, unpacked Debian packages.

Each is made once and kept below `$XDG_CACHE_HOME` (or `~/.cache`)`/shoal/clients`, named by a hash of what it holds;
nothing is installed into the system. Packages come by name from whatever registries pip, npm and apt are configured for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

INSTALL_SECONDS = 600
_COMPLETE = ".complete"
_failed: dict[Path, NotInstallable] = {}
"""What was tried in vain in this process, which is not tried again for the next check."""


class NotInstallable(Exception):
    """A client's packages cannot be had here; the text says which and why."""


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shoal" / "clients"


def python(packages: Sequence[str]) -> Path:
    """The interpreter of an environment that holds the requirements. Raises: NotInstallable."""
    def fill(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        if packages:
            _run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages])
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _made("python", (version, *packages), fill) / "bin" / "python"


def node(packages: Sequence[str]) -> Path:
    """A folder whose node_modules holds the requirements. Raises: NotInstallable."""
    if shutil.which("npm") is None:
        raise NotInstallable("npm is not on PATH")

    def fill(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"name": "clients", "private": true, "type": "module"}\n')
        _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *packages], folder)
    return _made("node", packages, fill)


def debian(packages: Sequence[str]) -> Path:
    """The root below which the packages' files lie: `/` where all are installed. Raises: NotInstallable."""
    if shutil.which("dpkg") is None:
        raise NotInstallable("not a Debian system")
    status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\n", *packages], capture_output=True, text=True,
                            check=False)
    if status.returncode == 0 and all(line.startswith("ii") for line in status.stdout.split("\n") if line):
        return Path("/")

    def fill(folder: Path) -> None:
        folder.mkdir(parents=True)
        download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *packages]
        try:
            _run(download, folder)
        except NotInstallable:
            if os.geteuid() != 0:
                raise
            _run(["apt-get", "-q", "update"])  # a machine that never listed its packages
            _run(download, folder)
        for archive in sorted(folder.glob("*.deb")):
            _run(["dpkg", "-x", archive.name, "."], folder)
            archive.unlink()
    return _made("debian", packages, fill)


def _made(kind: str, parts: Sequence[str], fill: Callable[[Path], None]) -> Path:
    """The cached folder of these parts, filled if it is not there; half-filled ones are made anew."""
    key = hashlib.sha256("\n".join((kind, *parts)).encode()).hexdigest()[:16]
    folder = cache_folder() / f"{kind}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if folder in _failed:
            raise _failed[folder]
        if not (folder / _COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                fill(folder)
            except NotInstallable as error:
                _failed[folder] = error
                raise
            (folder / _COMPLETE).write_text("\n".join(parts) + "\n")
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False,
                              stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstallable(str(error)) from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotInstallable(f"{Path(command[0]).name}: {said[-1] if said else f'exit code {done.returncode}'}")
