"""`python -m conformance.functions`: the audit of functions, operators and casts; exit code 1 with a difference in scope.

It prints what PostgreSQL has and the registry has not, by category out of scope and one by one in scope; runs the example of
every declaration on a live PostgreSQL and on Shoal; and asks both for operators, casts and common types of all pairs of
types (matrices.py), `--share` of them, and `--values` random calls with values at the edges of types (values.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg

from conformance.functions import examples, inventory, known, matrices, values
from conformance.server import Server
from tests.postgres_server import find_binaries, running

MATRICES: dict[str, Callable[[], Iterable[str]]] = {
    "operators": matrices.operators, "casts": matrices.casts, "common types": matrices.common}


def audit() -> list[str]:
    """Prints the inventory; gives what differs in scope, a line each, without the known."""
    different: list[str] = []
    for kind, signatures in (("functions", inventory.functions()), ("operators", inventory.operators())):
        categories = inventory.by_category(signatures)
        wanted = categories.pop("", [])
        found = [finding for signature in wanted for finding in inventory.findings(signature)]
        missing = {finding.signature for finding in found if finding.what == "missing"}
        print(f"{kind}: {len(signatures)} of PostgreSQL, {len(wanted)} in scope, of which Shoal has "
              f"{len(wanted) - len(missing)}")
        for category, out in sorted(categories.items()):
            print(f"  out of scope, {category}: {len(out)}")
        different += _unknown(found)
    casts = inventory.casts()
    lacking = inventory.missing_casts()
    print(f"casts: {len(casts)} of PostgreSQL, {len(lacking)} in scope differ")
    different += [f"cast {source} -> {target}: {have}, in PostgreSQL {want}" for source, target, have, want in lacking]
    return different


def _unknown(found: Iterable[inventory.Finding]) -> Iterator[str]:
    for finding in found:
        if known.reason(finding.signature) is None:
            values = f" {finding.have}, in PostgreSQL {finding.want}" if finding.want else f" {finding.have}".rstrip()
            yield f"{finding.signature}: {finding.what}{values}"


def run_examples(postgres: psycopg.Connection, shoal: psycopg.Connection) -> list[str]:
    """The declared examples on both, and the declarations without one."""
    without = [f"{name}: no example" for name in examples.without_example() if name not in known.WITHOUT_EXAMPLE]
    count, different = examples.differences(postgres, shoal)
    print(f"examples: {count} run, {len(different)} differ; {len(without)} declarations lack one")
    return without + different


def run_matrices(postgres: psycopg.Connection, shoal: psycopg.Connection, share: float, seed: int) -> list[str]:
    """What the matrices find, without the known."""
    for connection in (postgres, shoal):
        matrices.set_up(connection)
    different: list[str] = []
    for name, statements in MATRICES.items():
        started = time.monotonic()
        found = matrices.compare(matrices.sampled(statements(), share, seed), postgres, shoal)
        listed = [one for one in found.different if not known.is_listed(one.partition(": PostgreSQL ")[0])]
        print(f"{name}: {found.alike} alike, {len(found.different)} different, {len(found.different) - len(listed)} of them "
              f"known, {time.monotonic() - started:.0f} s")
        different += listed
    return different


def run_values(postgres: psycopg.Connection, shoal: psycopg.Connection, count: int, seed: int) -> list[str]:
    """What random calls find, without the known."""
    for connection in (postgres, shoal):
        connection.execute("SET TimeZone = 'Europe/Berlin'")
    started = time.monotonic()
    found = values.compare(count, seed, postgres, shoal)
    listed = [one for one in found.different if not known.is_listed(one.partition("\n  PostgreSQL: ")[0])]
    print(f"random calls: {found.alike + len(found.different)}, PostgreSQL refuses {found.refused}; {len(found.different)} "
          f"different, {len(found.different) - len(listed)} of them known, {time.monotonic() - started:.0f} s")
    return listed


@contextmanager
def both() -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """A PostgreSQL and a Shoal that can make tables, with nothing in them. Raises: FileNotFoundError without PostgreSQL."""
    binaries = find_binaries()
    if binaries is None:
        raise FileNotFoundError("there is no PostgreSQL here")
    with ExitStack() as stack:
        server = stack.enter_context(running(binaries))
        postgres = stack.enter_context(psycopg.connect(server.url(), autocommit=True))
        shoal = stack.enter_context(Server(["--workers", "1", "--catalog", "postgres=memory:"]))
        yield postgres, stack.enter_context(shoal.connect("postgres"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("conformance.functions", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--share", type=float, default=0.1, help="of the matrices' statements; 1 is all of them")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--values", type=int, default=3000, help="random calls")
    options = parser.parse_args(arguments)
    different = audit()
    with both() as (postgres, shoal):
        different += run_examples(postgres, shoal)
        different += run_matrices(postgres, shoal, options.share, options.seed)
        different += run_values(postgres, shoal, options.values, options.seed)
    print("\n".join(different))
    print(f"{len(different)} differences in scope without a listed reason")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
