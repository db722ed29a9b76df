"""Random INSERT, UPDATE, DELETE and MERGE, alone and in WITH; see conformance/fuzz_grammar.py.

Each row that is to change meets at most one row to change it with: which of several PostgreSQL takes is left open.
"""

from __future__ import annotations

from conformance.fuzz_expressions import Column
from conformance.fuzz_grammar import Generator, Statement
from conformance.fuzz_schema import COLUMNS

WRITABLE = ("ta", "tb")


class Writes(Generator):
    def statement(self) -> Statement:
        table = self.rng.choice(WRITABLE)
        make = self.pick((self.insert, 2), (self.update, 3), (self.delete, 2), (self.merge, 3))
        sql = make(table)
        returning = f" RETURNING {self.returned(table)}" if "MERGE" not in sql else ""
        if returning and self.chance(0.4):
            name = self.alias()
            kept = self.rng.choice((f"SELECT count(*), sum({name}.id) FROM {name}", f"SELECT {name}.* FROM {name}",
                                    f"SELECT {name}.id, t.s FROM {name} LEFT JOIN {table} AS t ON t.id = {name}.id"))
            return Statement(f"WITH {name} AS ({sql}{returning}) {kept}", False, table)
        return Statement(sql + (returning if self.chance(0.7) else ""), False, table)

    def returned(self, table: str) -> str:
        scope = self.columns(table)
        return f"{table}.id, {self.expression(scope, self.kind(), 1)} AS r1, {self.expression(scope, self.kind(), 1)} AS r2"

    def columns(self, name: str) -> list[Column]:
        return [Column(f"{name}.{column}", kind) for column, kind in self.stored.items()]

    def assignments(self, scope: list[Column]) -> str:
        picked = self.rng.sample([column for column in COLUMNS if column != "id"], self.rng.choice((1, 2, 3)))
        if len(picked) > 1 and self.chance(0.2):
            values = ", ".join(self.expression(scope, COLUMNS[column], 1) for column in picked)
            return f"({', '.join(picked)}) = ROW({values})"
        return ", ".join(f"{column} = {'DEFAULT' if self.chance(0.05) else self.expression(scope, COLUMNS[column], 2)}"
                         for column in picked)

    def insert(self, table: str) -> str:
        source, scope = self.from_clause([], self.rng.choice((1, 2)))
        picked = self.rng.sample(sorted(COLUMNS), self.rng.choice((2, 4, 6)))
        if "id" not in picked:
            picked.append("id")
        items = ", ".join(f"{self.expression(scope, COLUMNS[column], 1)} AS w{n}" for n, column in enumerate(picked))
        return f"INSERT INTO {table} ({', '.join(picked)}) SELECT {items} FROM {source}{self.where(scope)}"

    def update(self, table: str) -> str:
        scope = self.columns(table)
        if self.chance(0.5):
            other = self.alias()
            both = [*scope, *self.columns(other)]
            return f"UPDATE {table} SET {self.assignments(both)} FROM tc AS {other} " \
                   f"WHERE {other}.id = {table}.{self.rng.choice(('id', 'i', 'j'))} AND {self.predicate(both, 1)}"
        return f"UPDATE {table} SET {self.assignments(scope)}{self.where(scope)}"

    def delete(self, table: str) -> str:
        scope = self.columns(table)
        if self.chance(0.4):
            source, more = self.from_clause([], self.rng.choice((1, 2)))
            return f"DELETE FROM {table} USING {source} WHERE {self.join_condition(scope, more)} AND " \
                   f"{self.predicate(scope + more, 1)}"
        return f"DELETE FROM {table} WHERE {self.predicate(scope, 2)}"

    def merge(self, table: str) -> str:
        other = self.alias()
        scope, more = self.columns(table), self.columns(other)
        source = self.rng.choice(("ta", "tb", "tc", f"(SELECT * FROM tc WHERE {self.predicate(self.columns('tc'), 1)})"))
        clauses: list[str] = []
        for _ in range(self.rng.choice((1, 2, 3))):
            extra = f" AND {self.predicate(scope + more, 1)}" if self.chance(0.6) else ""
            matched = self.chance(0.6)
            if f"WHEN {'' if matched else 'NOT '}MATCHED THEN" in " ".join(clauses):
                break  # what follows it would never be reached
            if matched:
                action = self.rng.choice(("DELETE", "DO NOTHING", f"UPDATE SET {self.assignments(scope + more)}",
                                          f"UPDATE SET {self.assignments(scope + more)}"))
                clauses.append(f"WHEN MATCHED{extra} THEN {action}")
            else:
                extra = f" AND {self.predicate(more, 1)}" if self.chance(0.6) else ""
                column = self.rng.choice(("s", "n", "d", "i"))
                value = self.expression(more, COLUMNS[column], 1)
                action = self.rng.choice(("DO NOTHING", f"INSERT (id, {column}) VALUES ({other}.id, {value})",
                                          f"INSERT (id, {column}) VALUES ({other}.id, {value})"))
                clauses.append(f"WHEN NOT MATCHED{extra} THEN {action}")
        condition = f"{other}.id = {table}.{self.rng.choice(('id', 'i', 'j'))}"
        return f"MERGE INTO {table} USING {source} AS {other} ON {condition} {' '.join(clauses)}"
