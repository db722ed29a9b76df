"""`python -m shoal.exec.worker`: a worker process, as the local launcher starts it and `shoal worker` runs it.

The secret comes as a line of hex on stdin (`--secret-stdin`; the end of stdin then means that the parent is gone, and so
this process goes as well), or from a file that only the user can read.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from shoal.catalog.errors import SqlError
from shoal.exec.memory import parse_bytes
from shoal.exec.missing_imports import remember_missing_imports

SWITCH_INTERVAL_S = 0.0005


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (try {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a worker; gives its exit code (2: bad usage)."""
    parser = _Parser(prog="shoal worker", description="Joins a coordinator and runs its tasks.")
    parser.add_argument("--join", required=True, metavar="HOST:PORT", help="the coordinator's cluster address")
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--secret-file", metavar="FILE", help="holds the cluster secret")
    secret.add_argument("--secret-stdin", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--listen", default="", metavar="HOST[:PORT]", help="where other workers reach this one")
    parser.add_argument("--name", default="", help="as shown in system.runtime.nodes")
    parser.add_argument("--memory", default="1GB", metavar="SIZE", help="the most a query may hold here")
    parser.add_argument("--spill-dir", default="", metavar="DIR", help="where to put what does not fit into memory")
    options = parser.parse_args(arguments)
    join = _address(parser, options.join, needs_port=True)
    listen = _address(parser, options.listen, needs_port=False) if options.listen else ("", 0)
    if options.secret_stdin:
        key = bytes.fromhex(sys.stdin.buffer.readline().strip().decode())
        threading.Thread(target=_leave_with_parent, name="parent watch", daemon=True).start()
    else:
        try:
            with open(options.secret_file, "rb") as file:
                key = file.read().strip()
        except OSError as error:
            parser.error(f"cannot read the secret file {options.secret_file}: {error.strerror}")
        if len(key) < 16:
            parser.error("the cluster secret must have at least 16 bytes")
    try:
        memory_bytes = parse_bytes(options.memory)
    except SqlError as error:
        parser.error(str(error))
    logging.basicConfig(level=os.environ.get("SHOAL_LOG", "INFO"), stream=sys.stderr,
                        format="%(levelname)s %(name)s %(message)s")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    remember_missing_imports()

    gc.disable()  # all that the imports make stays
    import pyarrow

    from shoal.exec.worker.worker import WorkerOptions, run_worker

    gc.freeze()
    gc.enable()
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(2)
    return run_worker(WorkerOptions(
        join, key, options.name, listen, memory_bytes, options.spill_dir, rejoin_s=0.0 if options.secret_stdin else 300.0))


def _leave_with_parent() -> NoReturn:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _address(parser: argparse.ArgumentParser, text: str, *, needs_port: bool) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon and not needs_port:
        return text, 0
    if not host or not port.isdigit() or int(port) > 65535:
        parser.error(f"not an address: {text} (HOST:PORT)")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
