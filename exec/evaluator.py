"""Compiles typed expressions to closures over batches (hop 6): no tree is walked once rows flow.

`compile_expression` gives arrays, `compile_predicate` boolean masks; both pick kernels from the function registry.
The evaluator itself knows only what must be lazy or is shared by all functions: NULLs of strict functions,
constants (folded once, handed to kernels as scalars), dictionary-encoded strings (a function of one such column
runs once per distinct value), equal subtrees (evaluated once a batch), AND/OR/CASE/COALESCE (what may raise only
sees the rows that reach it) and volatile calls.

Spec: PostgreSQL 15 documentation, 4.2.14 "Expression Evaluation Rules".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import scaled, specials
from shoal.catalog.errors import FeatureNotSupported, InternalError, SqlError
from shoal.catalog.shaped import is_shaped
from shoal.catalog.types import SqlType, numeric, storage_type
from shoal.exec.batch import Batch
from shoal.exec.branches import branch, first_not_null, logic
from shoal.exec.compiled import Evaluate, Frame, Node, Truth, Value, truth_of
from shoal.exec.evaluation_context import DEFAULT_SETTINGS, EvaluationContext, Names
from shoal.exec.functions import registry
from shoal.exec.functions.cast_kernels import Conversion, conversion
from shoal.exec.functions.registry import Function
from shoal.exec.kernels import decimals, nulls, views
from shoal.exec.kernels.constants import array_of_constant, physical, scalar_of
from shoal.exec.kernels.lifting import Lifting
from shoal.exec.kernels.lists_of_constants import ConstantList
from shoal.exec.plan.expr import Call, Case, Cast, ColumnRef, Expr, Literal, Parameter, conjuncts, walk

__all__ = ["DEFAULT_SETTINGS", "EvaluationContext", "Names", "compile_expression", "compile_expressions",
           "compile_predicate", "evaluate_constant"]

Positions = Mapping[int, int]


def compile_expression(expr: Expr, positions: Positions) -> Callable[[Batch, EvaluationContext], pa.Array]:
    """A closure giving one array of `batch.rows` values in the storage form of `expr.type`.

    `positions`: column id -> position in the batch.
    """
    run = compile_expressions([expr], positions)
    return lambda batch, context: run(batch, context)[0]


def compile_expressions(exprs: Sequence[Expr], positions: Positions) -> Callable[[Batch, EvaluationContext], list[pa.Array]]:
    """Like compile_expression for a projection list: equal subtrees of all expressions are evaluated once a batch."""
    compiler = Compiler(positions, exprs)
    nodes = [compiler.compile(expr) for expr in exprs]

    def run(batch: Batch, context: EvaluationContext) -> list[pa.Array]:
        frame = Frame(batch, context)
        return [frame.array(node.run(frame)) for node in nodes]
    return run


def compile_predicate(expr: Expr, positions: Positions) -> Callable[[Batch, EvaluationContext], np.ndarray]:
    """A closure giving the boolean mask of rows for which `expr` is true (NULL counts as false)."""
    compiler = Compiler(positions, [expr])
    parts = [compiler.compile(part) for part in conjuncts(expr)]
    if len(parts) == 1:
        return lambda batch, context: parts[0].truth(Frame(batch, context)).true
    return lambda batch, context: filter_mask(parts, Frame(batch, context))


def evaluate_constant(expr: Expr, context: EvaluationContext) -> Any:
    """The physical value of an expression without columns."""
    array = compile_expression(expr, {})(Batch([], 1), context)
    return physical(array, 0, expr.type)


def filter_mask(parts: Sequence[Node], frame: Frame) -> np.ndarray:
    """AND of conjuncts, cheapest first; those that may raise see only the rows the others left over."""
    alive: np.ndarray | None = None
    mask: np.ndarray | None = None
    rows = frame.rows
    for node in sorted(parts, key=lambda part: (part.raises, part.cost)):
        if mask is not None:
            kept = int(np.count_nonzero(mask))
            if kept == 0:
                return np.zeros(rows, np.bool_)
            if kept < len(mask) and (node.raises or kept < len(mask) * (0.15 if node.cost < 2 else 0.7)):
                chosen = np.flatnonzero(mask)
                alive = chosen if alive is None else alive[chosen]
                frame, mask = frame.narrowed(chosen), None
        found = node.truth(frame).true
        mask = found if mask is None else mask & found
    if mask is None:
        return np.ones(rows, np.bool_)
    if alive is None:
        return mask
    result = np.zeros(rows, np.bool_)
    result[alive[mask]] = True
    return result


class Compiler:
    """Turns expressions over columns at `positions` into Nodes; subtrees that occur twice share one evaluation."""

    def __init__(self, positions: Positions, exprs: Sequence[Expr]) -> None:
        self.positions = positions
        self._exprs = exprs  # kept, so that no other node gets the id() of one of theirs
        nodes = [node for expr in exprs for node in walk(expr) if isinstance(node, (Call, Cast, Case))]
        numbers = _numbered(exprs)
        counts = Counter(numbers[id(node)] for node in nodes)
        first = {numbers[id(node)]: node for node in nodes if counts[numbers[id(node)]] > 1}
        volatile = {number for number, node in first.items() if _has_volatile(node)}
        shared = first.keys() - volatile
        self._slots = {id(node): numbers[id(node)] for node in nodes if numbers[id(node)] in shared}
        self._done: dict[int, Node] = {}

    def compile(self, expr: Expr) -> Node:
        slot = self._slots.get(id(expr))
        if slot is None:
            return self._compile(expr)
        node = self._done.get(slot)
        if node is None:
            node = self._done[slot] = self._sharing(self._compile(expr), slot)
        return node

    @staticmethod
    def _sharing(node: Node, slot: int) -> Node:
        if node.constant is not None:
            return node
        run = node.run

        def once(frame: Frame) -> Value:
            found = frame.shared.get(slot)
            if found is None:
                found = frame.shared[slot] = run(frame)
            return found
        return Node(once, node.type, None, node.raises, node.cost)

    def _compile(self, expr: Expr) -> Node:
        if isinstance(expr, ColumnRef):
            position = self.positions[expr.id]
            return Node(lambda frame: frame.batch.array(position), expr.type)
        if isinstance(expr, Literal):
            return constant_node(scalar_of(expr.value, expr.type), expr.type)
        if isinstance(expr, Cast):
            return self._cast(expr)
        if isinstance(expr, Case):
            return self._case(expr)
        if isinstance(expr, Call):
            special = getattr(self, f"_call_{expr.name}", None)
            return special(expr) if special is not None else self._call(expr)
        if isinstance(expr, Parameter):
            raise InternalError(f"parameter ${expr.index} was never given a value")
        raise InternalError(f"{type(expr).__name__} cannot be evaluated")

    # --- ordinary functions

    def _call(self, expr: Call) -> Node:
        function = registry.exact(expr.name, [arg.type for arg in expr.args])
        if function is None or function.kernel is None:
            types = ", ".join(arg.type.sql for arg in expr.args)
            if function is None:
                raise InternalError(f"no kernel for {expr.name}({types})")
            raise FeatureNotSupported(f"function {expr.name}({types}) is not supported here")
        args = [self.compile(arg) for arg in expr.args]
        run = invocation(expr, function, args)
        raises = function.raises or any(arg.raises for arg in args)
        cost = 1.0 + sum(arg.cost for arg in args) + _COSTS.get(function.name, 0.0)
        if function.volatility == "immutable" and all(arg.constant is not None for arg in args):
            folded = folded_node(run, expr.type)
            if folded is not None:
                return folded
        if expr.type.name == "bool":
            return Node(lambda frame: boolean_value(run(frame)), expr.type, None, raises, cost,
                        lambda frame: raw_truth(run(frame), frame.rows))
        return Node(run, expr.type, None, raises, cost)

    def _call_in(self, expr: Call) -> Node:
        items, subject = expr.args[1:], expr.args[0]
        if not items or not all(isinstance(item, Literal) for item in items) or not ConstantList.handles(subject.type):
            return self._call(expr)
        values = [_at_scale(item, subject.type) for item in items if isinstance(item, Literal) and item.value is not None]
        constants = ConstantList([v for v in values if v is not _BETWEEN], subject.type)
        has_null = any(isinstance(item, Literal) and item.value is None for item in items)
        node = self.compile(subject)
        test = Lifting(lambda array: constants.test(array), raises=False)

        def mask(frame: Frame) -> Truth:
            array = frame.array(node.run(frame))
            found, valid = test.mask(array), nulls.validity(array)
            if valid is not None:
                found = found & valid
            if has_null:
                return Truth(found, ~found)
            return Truth(found, None if valid is None else ~valid)
        return mask_node(mask, node.raises, node.cost + 1.0)

    def _call_eq_any(self, expr: Call) -> Node:
        """x = ANY of a constant array as x IN its elements."""
        subject, array = expr.args
        if not isinstance(array, Literal) or not isinstance(array.value, tuple) or not ConstantList.handles(subject.type):
            return self._call(expr)
        items = [Literal(array.type.element, value) for value in array.value]
        return self._call_in(Call(expr.type, "in", (subject, *items))) if items else self._call(expr)

    # --- conversions

    def _cast(self, expr: Cast) -> Node:
        node = self.compile(expr.arg)
        if expr.arg.type == expr.type:
            return node
        convert = conversion(expr.arg.type, expr.type, expr.explicit)
        run = cast_run(convert, node, expr.type)
        if node.constant is not None and not convert.stable:
            folded = folded_node(run, expr.type)
            if folded is not None:
                return folded
        return Node(run, expr.type, None, node.raises or convert.raises, node.cost + 1.0)

    # --- three-valued logic

    def _call_and(self, expr: Call) -> Node:
        return self._logic(expr, conjunction=True)

    def _call_or(self, expr: Call) -> Node:
        return self._logic(expr, conjunction=False)

    def _logic(self, expr: Call, conjunction: bool) -> Node:
        parts = [self.compile(arg) for arg in flattened(expr)]
        parts.sort(key=lambda part: (part.raises, part.cost))

        def mask(frame: Frame) -> Truth:
            return logic(parts, frame, conjunction)
        return mask_node(mask, any(p.raises for p in parts), sum(p.cost for p in parts))

    def _call_not(self, expr: Call) -> Node:
        node = self.compile(expr.args[0])

        def mask(frame: Frame) -> Truth:
            truth = node.truth(frame)
            return Truth(~truth.true if truth.null is None else ~(truth.true | truth.null), truth.null)
        return mask_node(mask, node.raises, node.cost)

    def _null_test(self, expr: Call, wanted: bool) -> Node:
        node = self.compile(expr.args[0])

        def mask(frame: Frame) -> Truth:
            value = node.run(frame)
            if isinstance(value, pa.Scalar):
                return Truth(np.full(frame.rows, value.is_valid != wanted), None)
            valid = nulls.validity(value)
            if valid is None:
                return Truth(np.full(frame.rows, not wanted), None)
            return Truth(~valid if wanted else valid, None)
        return mask_node(mask, node.raises, node.cost + 0.1)

    def _call_is_null(self, expr: Call) -> Node:
        return self._null_test(expr, True)

    def _call_is_not_null(self, expr: Call) -> Node:
        return self._null_test(expr, False)

    def _truth_test(self, expr: Call, test: Callable[[Truth], np.ndarray]) -> Node:
        node = self.compile(expr.args[0])
        return mask_node(lambda frame: Truth(test(node.truth(frame)), None), node.raises, node.cost)

    def _call_is_true(self, expr: Call) -> Node:
        return self._truth_test(expr, lambda t: t.true)

    def _call_is_not_true(self, expr: Call) -> Node:
        return self._truth_test(expr, lambda t: ~t.true)

    def _call_is_false(self, expr: Call) -> Node:
        return self._truth_test(expr, lambda t: ~t.true if t.null is None else ~(t.true | t.null))

    def _call_is_not_false(self, expr: Call) -> Node:
        return self._truth_test(expr, lambda t: t.true if t.null is None else t.true | t.null)

    def _call_is_unknown(self, expr: Call) -> Node:
        return self._truth_test(expr, lambda t: np.zeros(len(t.true), np.bool_) if t.null is None else t.null)

    def _call_is_not_unknown(self, expr: Call) -> Node:
        return self._truth_test(expr, lambda t: np.ones(len(t.true), np.bool_) if t.null is None else ~t.null)

    # --- branches

    def _case(self, expr: Case) -> Node:
        conditions = [self.compile(condition) for condition in expr.conditions]
        results = [self.compile(result) for result in (*expr.results, expr.default)]
        every = (*conditions, *results)
        sql_type = expr.type

        def run(frame: Frame) -> Value:
            return branch(conditions, results, frame, sql_type)
        return Node(run, sql_type, None, any(n.raises for n in every), sum(n.cost for n in every) + 2.0)

    def _call_coalesce(self, expr: Call) -> Node:
        nodes = [self.compile(arg) for arg in expr.args]
        sql_type = expr.type

        def run(frame: Frame) -> Value:
            return first_not_null(nodes, frame, sql_type)
        return Node(run, sql_type, None, any(n.raises for n in nodes), sum(n.cost for n in nodes) + 1.0)


_COSTS = {"like": 4.0, "not_like": 4.0, "ilike": 8.0, "not_ilike": 8.0, "regex_match": 16.0, "regex_imatch": 16.0,
          "regex_not_match": 16.0, "regex_not_imatch": 16.0, "similar": 16.0}


def _numbered(exprs: Sequence[Expr]) -> dict[int, int]:
    """A number for each node by its id(), the same for equal ones.

    Dictionaries of the nodes themselves would hash each whole subtree anew: time by the square of the depth.
    """
    known: dict[Any, int] = {}
    found: dict[int, int] = {}
    for expr in exprs:
        for node in reversed(list(walk(expr))):  # children first
            key: Any = node
            if isinstance(node, (Call, Cast, Case)):
                own = (node.name, node.volatile) if isinstance(node, Call) else (
                    node.explicit if isinstance(node, Cast) else len(node.conditions))
                key = type(node), node.type, own, tuple(found[id(child)] for child in node.children())
            elif isinstance(node, Literal) and isinstance(node.value, (float, list, tuple)):
                key = node.type, repr(node.value)  # 0 and -0 are equal, and not the same; arrays may hold lists
            found[id(node)] = known.setdefault(key, len(known))
    return found


def _has_volatile(expr: Expr) -> bool:
    return any(isinstance(node, Call) and (node.volatile or registry.is_volatile(node.name)) for node in walk(expr))


def constant_node(value: pa.Scalar, sql_type: SqlType) -> Node:
    return Node(lambda frame: value, sql_type, value)


def mask_node(mask: Callable[[Frame], Truth], raises: bool, cost: float) -> Node:
    def run(frame: Frame) -> Value:
        truth = mask(frame)
        return views.array_of(truth.true, pa.bool_(), None if truth.null is None else ~truth.null)
    return Node(run, SqlType("bool"), None, raises, cost, mask)


def folded_node(run: Evaluate, sql_type: SqlType) -> Node | None:
    """The constant that `run` gives without any row; None where it raises (it must then raise at run time)."""
    try:
        value = run(Frame(Batch([], 1), EvaluationContext()))
    except SqlError:
        return None
    value = boolean_value(value)
    if isinstance(value, pa.Array):
        value = nulls.decoded(value)[0]
    return constant_node(value, sql_type)


def boolean_value(value: Any) -> Value:
    """Mask kernels give numpy masks; Arrow booleans are made only where somebody needs them."""
    if isinstance(value, np.ndarray):
        return views.array_of(value, pa.bool_())
    if isinstance(value, Truth):
        return views.array_of(value.true, pa.bool_(), None if value.null is None else ~value.null)
    return value


def raw_truth(value: Any, rows: int) -> Truth:
    if isinstance(value, Truth):
        return value
    if isinstance(value, np.ndarray):
        return Truth(value, None)
    return truth_of(value, rows)


def flattened(expr: Call) -> list[Expr]:
    """Nested ANDs (or ORs) as one list."""
    return [part for arg in expr.args
            for part in (flattened(arg) if isinstance(arg, Call) and arg.name == expr.name else [arg])]


_BETWEEN = object()
"""Stands for a numeric constant with more digits than the column's scale: equal to no value."""


def _at_scale(item: Expr, subject: SqlType) -> Any:
    assert isinstance(item, Literal)
    if subject.name != "numeric":
        return item.value
    if subject.varies:
        return item.value if isinstance(item.value, str) else scaled.plain(item.value, item.type.scale or 0)
    if item.type.varies:
        found = scaled.parsed(item.value)
        assert found is not None
        value, scale = found
        if scale < 0:
            return specials.parsed(item.value)
        item = Literal(numeric(76, scale), value)
    value, scale = item.value, item.type.scale or 0
    if value in specials.TEXTS:
        return value
    while scale > (subject.scale or 0):
        if value % 10:
            return _BETWEEN
        value, scale = value // 10, scale - 1
    value *= decimals.POWERS[(subject.scale or 0) - scale]
    return value if abs(value) < decimals.POWERS[76] else _BETWEEN  # else greater than any number: not a special value


def invocation(expr: Call, function: Function, nodes: Sequence[Node]) -> Callable[[Frame], Any]:
    """How a kernel is called for a batch: NULL handling, constants, dictionaries."""
    assert function.kernel is not None
    kernel = function.kernel if function.shapes or not any(node.type.is_array for node in nodes) else guarded(function)
    strict, null = function.strict, pa.scalar(None, storage_type(expr.type))
    if strict and any(node.constant is not None and not node.constant.is_valid for node in nodes):
        return lambda frame: null
    moving = [i for i, node in enumerate(nodes) if node.constant is None]
    constants = [node.constant for node in nodes]
    liftable = strict and len(moving) == 1 and function.volatility != "volatile" and nodes[moving[0]].type.is_string
    states: list[Any] = [None]

    def over(array: pa.Array) -> Any:
        args = list(constants)
        args[moving[0]] = array
        return kernel(expr, args, len(array), states[0])
    lifting = Lifting(over, function.raises) if liftable else None

    def run(frame: Frame) -> Any:
        args: list[Any] = [constants[i] if constants[i] is not None else nodes[i].run(frame) for i in range(len(nodes))]
        if strict and any(isinstance(arg, pa.Scalar) and not arg.is_valid for arg in args):
            return null
        if args and all(isinstance(arg, pa.Scalar) for arg in args):
            if function.volatility == "volatile" and frame.rows != 1:
                args = [nulls.spread(arg, frame.rows) for arg in args]
            else:
                result = boolean_value(kernel(expr, [array_of_constant(arg) for arg in args], 1, frame.context))
                return nulls.decoded(result)[0] if isinstance(result, pa.Array) else result
        if lifting is not None:
            array = args[moving[0]]
            if isinstance(array, pa.Array) and pa.types.is_dictionary(array.type):
                states[0] = frame.context
                result = lifting.value(array)
                if isinstance(result, np.ndarray):
                    valid = nulls.validity(array)
                    return Truth(result, None) if valid is None else Truth(result & valid, ~valid)
                return nulls.with_validity(result, nulls.validity(array)) if isinstance(result, pa.Array) else result
        if strict and function.raises and any(isinstance(arg, pa.Array) and 0 < len(arg) == arg.null_count for arg in args):
            return null  # constants beside may be such that the kernel refuses them
        args = [nulls.decoded(arg) if isinstance(arg, pa.Array) else arg for arg in args]
        result = kernel(expr, args, frame.rows, frame.context)
        if not strict:
            return result
        valid = nulls.merged_validity(args)
        if valid is None:
            return result
        if isinstance(result, np.ndarray):
            return Truth(result & valid, ~valid)
        if isinstance(result, pa.Scalar):
            result = nulls.spread(result, frame.rows)
        return nulls.with_validity(result, valid)
    return run


def guarded(function: Function) -> Callable[..., Any]:
    """The kernel, refusing arrays that it would take for others than they are."""
    kernel = function.kernel
    assert kernel is not None

    def run(call: Call, args: Sequence[Any], rows: int, context: EvaluationContext) -> Any:
        if any(is_shaped(arg) for arg in args):
            raise FeatureNotSupported(f"{function.name} of multidimensional arrays, or of arrays that do not begin at 1, "
                                      "is not supported")
        return kernel(call, args, rows, context)
    return run


def cast_run(convert: Conversion, node: Node, target: SqlType) -> Evaluate:
    states: list[Any] = [None]
    lifting = Lifting(lambda array: convert.run(array, states[0]), convert.raises)

    def run(frame: Frame) -> Value:
        value = node.run(frame)
        if isinstance(value, pa.Scalar):
            if not value.is_valid:
                return pa.scalar(None, storage_type(target))
            return nulls.decoded(convert.run(array_of_constant(value), frame.context))[0]
        if convert.keeps_dictionary:
            return value
        if pa.types.is_dictionary(value.type):
            states[0] = frame.context
            return lifting.value(value)
        return convert.run(value, frame.context)
    return run
