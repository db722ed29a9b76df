"""What a jsonpath finds in a JSON value (hop 6).

Values are what json_text.load gives, with the keys of objects in jsonb's order, and Moments for .datetime(). Items are
found one after another; what a path may be asked to be silent about is raised as PathError, anything else as it is.

Spec: PostgreSQL 15 documentation, 9.16.2 "The SQL/JSON Path Language"; wording of jsonpath_exec.c.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any

from shoal.catalog.errors import (
    DivisionByZero,
    InvalidJsonSubscript,
    JsonArrayNotFound,
    JsonMemberNotFound,
    JsonNumberNotFound,
    JsonObjectNotFound,
    NonNumericJsonItem,
    SingletonJsonItemRequired,
    SqlError,
    UndefinedObject,
)
from shoal.exec.functions.jsonpath_datetimes import Moment, compare_moments, moment_of
from shoal.exec.functions.jsonpath_syntax import (
    ARITHMETIC,
    COMPARISONS,
    UNLIMITED,
    Item,
    JsonPath,
    like_regex_pattern,
)

_WIDE = Context(prec=140000, Emax=999_999, Emin=-999_999)
_KEYVALUE_BASE = 10_000_000_000


class PathError(Exception):
    """An error that `silent` suppresses, and that makes a filter's condition unknown."""

    def __init__(self, error: SqlError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class Evaluation:
    """One run of a path over a document. `variables` None: none were given. `zone` is the session's time zone, "" where
    the path may not use it (functions without _tz)."""

    path: JsonPath
    document: Any
    variables: dict[str, Any] | None = None
    zone: str = ""
    identify: Callable[[Any], int] = field(default=lambda value: 0)
    """The number that .keyvalue() gives an object of the document."""
    lax: bool = field(init=False)

    def __post_init__(self) -> None:
        self.lax = self.path.lax

    def items(self) -> Iterator[Any]:
        """Everything the path finds. Raises: PathError."""
        return self._item(_Place(self.document, None, -1, self.lax), self.path.root, self.document, self.lax)

    # Items

    def _item(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        """What `item` and those after it find from `value`; `unwrap`: an array stands for its elements."""
        handler = _HANDLERS.get(item.kind)
        if handler is not None:
            yield from handler(self, at, item, value, unwrap)
        else:
            yield from self._next(at, item, self._truth(at, item, value))

    def _next(self, at: _Place, item: Item, value: Any) -> Iterator[Any]:
        if item.next is None:
            yield value
        else:
            yield from self._item(at, item.next, value, self.lax)

    def _unwrapped(self, at: _Place, item: Item, value: list[Any]) -> Iterator[Any]:
        """`item` applied to each element of an array."""
        for element in value:
            yield from self._item(at, item, element, False)

    def _sequence(self, at: _Place, item: Item, value: Any, unwrap: bool = True) -> list[Any]:
        """An operand's items; in lax mode its arrays are opened."""
        found: list[Any] = []
        for one in self._item(at, item, value, self.lax):
            if unwrap and self.lax and isinstance(one, list):
                found += one
            else:
                found.append(one)
        return found

    def _constant(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        yield from self._next(at, item, item.value)

    def _root(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        yield from self._next(at, item, at.root)

    def _current(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        yield from self._next(at, item, at.current)

    def _variable(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        if self.variables is None or item.value not in self.variables:
            raise UndefinedObject(f'could not find jsonpath variable "{item.value}"')
        yield from self._next(at, item, self.variables[item.value])

    def _key(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        if isinstance(value, dict):
            if item.value in value:
                yield from self._next(at, item, value[item.value])
            elif not at.lenient:
                raise PathError(JsonMemberNotFound(f'JSON object does not contain key "{item.value}"'))
        elif unwrap and isinstance(value, list):
            yield from self._unwrapped(at, item, value)
        elif not at.lenient:
            raise PathError(JsonMemberNotFound("jsonpath member accessor can only be applied to an object"))

    def _any_key(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        if isinstance(value, dict):
            for member in value.values():
                yield from self._next(at, item, member)
        elif unwrap and isinstance(value, list):
            yield from self._unwrapped(at, item, value)
        elif not at.lenient:
            raise PathError(JsonObjectNotFound("jsonpath wildcard member accessor can only be applied to an object"))

    def _any_array(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        if isinstance(value, list):
            for element in value:
                yield from self._next(at, item, element)
        elif self.lax:
            yield from self._next(at, item, value)
        elif not at.lenient:
            raise PathError(JsonArrayNotFound("jsonpath wildcard array accessor can only be applied to an array"))

    def _index(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        if not isinstance(value, list) and not self.lax:
            if not at.lenient:
                raise PathError(JsonArrayNotFound("jsonpath array accessor can only be applied to an array"))
            return
        elements = value if isinstance(value, list) else [value]
        inside = at.within(len(elements))
        for start, end in item.args:
            first = self._subscript(inside, start, value)
            last = first if end is None else self._subscript(inside, end, value)
            if not at.lenient and (first < 0 or first > last or last >= len(elements)):
                raise PathError(InvalidJsonSubscript("jsonpath array subscript is out of bounds"))
            for element in elements[max(first, 0):max(last + 1, 0)]:
                yield from self._next(at, item, element)

    def _subscript(self, at: _Place, item: Item, value: Any) -> int:
        found = list(self._item(at, item, value, self.lax))
        if len(found) != 1 or not isinstance(found[0], Decimal):
            raise PathError(InvalidJsonSubscript("jsonpath array subscript is not a single numeric value"))
        index = int(found[0].to_integral_value(ROUND_DOWN))
        if not -(1 << 31) <= index < 1 << 31:
            raise PathError(InvalidJsonSubscript("jsonpath array subscript is out of integer range"))
        return index

    def _last(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        yield from self._next(at, item, Decimal(at.size - 1))

    def _levels(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        first, last = item.value
        inside = at.forgiving()
        if first == 0:
            yield from self._next(inside, item, value)
        if isinstance(value, (dict, list)):
            yield from self._below(inside, item, value, 1, first, last)

    def _below(self, at: _Place, item: Item, value: Any, level: int, first: int, last: int) -> Iterator[Any]:
        if level > last:
            return
        for member in value.values() if isinstance(value, dict) else value:
            nested = isinstance(member, (dict, list))
            if level >= first or (first == last == UNLIMITED and not nested):
                yield from self._next(at, item, member)
            if nested:
                yield from self._below(at, item, member, level + 1, first, last)

    def _filter(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        if unwrap and isinstance(value, list):
            yield from self._unwrapped(at, item, value)
        elif self._truth(at.on(value), item.args[0], value) is True:
            yield from self._next(at, item, value)

    # Methods

    def _method(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        name = item.value
        if name == "type":
            yield from self._next(at, item, kind_of(value))
            return
        if name == "size":
            if isinstance(value, list):
                yield from self._next(at, item, Decimal(len(value)))
            elif self.lax:
                yield from self._next(at, item, Decimal(1))
            elif not at.lenient:
                raise PathError(JsonArrayNotFound("jsonpath item method .size() can only be applied to an array"))
            return
        if unwrap and isinstance(value, list):
            yield from self._unwrapped(at, item, value)
        elif name == "keyvalue":
            yield from self._keyvalue(at, item, value)
        elif name == "double":
            yield from self._next(at, item, _double(value))
        else:
            if not isinstance(value, Decimal):
                raise PathError(NonNumericJsonItem(f"jsonpath item method .{name}() can only be applied to a numeric value"))
            yield from self._next(at, item, abs(value) if name == "abs" else value.to_integral_value(
                ROUND_CEILING if name == "ceiling" else ROUND_FLOOR, _WIDE) + 0)

    def _keyvalue(self, at: _Place, item: Item, value: Any) -> Iterator[Any]:
        if not isinstance(value, dict):
            raise PathError(JsonObjectNotFound("jsonpath item method .keyvalue() can only be applied to an object"))
        number = self.identify(value) + at.base * _KEYVALUE_BASE
        for key, member in value.items():
            made = {"id": Decimal(number), "key": key, "value": member}
            yield from self._next(at, item, made)

    def _datetime(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        if unwrap and isinstance(value, list):
            yield from self._unwrapped(at, item, value)
            return
        try:
            found = moment_of(value, item.value)
        except SqlError as error:
            raise PathError(error) from None
        yield from self._next(at, item, found)

    # Arithmetic

    def _arithmetic(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        operands: list[Decimal] = []
        for side, operand in zip(("left", "right"), item.args, strict=True):
            found = self._sequence(at, operand, value)
            if len(found) != 1 or not isinstance(found[0], Decimal):
                raise PathError(SingletonJsonItemRequired(
                    f"{side} operand of jsonpath operator {item.kind} is not a single numeric value"))
            operands.append(found[0])
        yield from self._next(at, item, _computed(item.kind, operands[0], operands[1]))

    def _sign(self, at: _Place, item: Item, value: Any, unwrap: bool) -> Iterator[Any]:
        for operand in self._sequence(at, item.args[0], value):
            if not isinstance(operand, Decimal):
                raise PathError(JsonNumberNotFound(
                    f"operand of unary jsonpath operator {item.kind[-1]} is not a numeric value"))
            yield from self._next(at, item, -operand if item.kind[-1] == "-" and operand else operand)

    # Predicates: True, False or None for unknown

    def _truth(self, at: _Place, item: Item, value: Any) -> bool | None:
        kind = item.kind
        if kind == "&&" or kind == "||":
            decisive = kind == "||"
            left = self._truth(at, item.args[0], value)
            if left is decisive:
                return left
            right = self._truth(at, item.args[1], value)
            return left if right is (not decisive) else right
        if kind == "!":
            inner = self._truth(at, item.args[0], value)
            return None if inner is None else not inner
        if kind == "is unknown":
            return self._truth(at, item.args[0], value) is None
        try:
            if kind == "exists":
                found = self._item(at, item.args[0], value, self.lax)
                return bool(list(found)) if not self.lax else next(found, _NOTHING) is not _NOTHING
            left_items = self._sequence(at, item.args[0], value)
            right_items = [None] if kind == "like_regex" else self._sequence(at, item.args[1], value, kind in COMPARISONS)
        except PathError:
            return None
        return self._any(left_items, right_items, self._test(item))

    def _any(self, left: list[Any], right: list[Any], test: Callable[[Any, Any], bool | None]) -> bool | None:
        unknown = found = False
        for one in left:
            for other in right:
                result = test(one, other)
                if result is None:
                    if not self.lax:
                        return None
                    unknown = True
                elif result:
                    if self.lax:
                        return True
                    found = True
        return True if found else None if unknown else False

    def _test(self, item: Item) -> Callable[[Any, Any], bool | None]:
        if item.kind == "starts with":
            return lambda one, initial: (one.startswith(initial) if isinstance(one, str) and isinstance(initial, str)
                                         else None)
        if item.kind == "like_regex":
            pattern = like_regex_pattern(*item.value)
            return lambda one, _: pattern.found(one) if isinstance(one, str) else None
        return lambda one, other: self._compared(item.kind, one, other)

    def _compared(self, symbol: str, left: Any, right: Any) -> bool | None:
        kind = kind_of(left)
        if kind != kind_of(right) and not (isinstance(left, Moment) and isinstance(right, Moment)):
            return symbol == "!=" if left is None or right is None else None
        if isinstance(left, (dict, list)):
            return None
        if isinstance(left, Moment):
            order = compare_moments(left, right, self.zone)
            if order is None:
                return None
        else:
            one, other = (0, 0) if left is None else (left, right)
            order = (one > other) - (one < other)
        return {"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0,
                ">=": order >= 0}[symbol]


_NOTHING = object()


@dataclass(frozen=True, slots=True)
class _Place:
    """What $, @ and `last` mean, and whether what is missing is passed over."""

    root: Any
    current: Any
    size: int
    lenient: bool
    base: int = 0

    def within(self, size: int) -> _Place:
        return _Place(self.root, self.current, size, self.lenient, self.base)

    def on(self, current: Any) -> _Place:
        return _Place(self.root, current, self.size, self.lenient, self.base)

    def forgiving(self) -> _Place:
        return _Place(self.root, self.current, self.size, True, self.base)


def kind_of(value: Any) -> str:
    """What .type() says."""
    if isinstance(value, Moment):
        return value.type_name
    from shoal.exec.functions.json_text import kind_of as json_kind
    return json_kind(value)


def _double(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        if math.isinf(float(value)):
            raise PathError(NonNumericJsonItem("numeric argument of jsonpath item method .double() is out of range for type "
                                               "double precision"))
        return value
    if isinstance(value, str):
        from shoal.catalog.types import FLOAT8
        from shoal.exec.functions.text_input import parse_value
        from shoal.exec.functions.text_output import float_text
        try:
            number = parse_value(value, FLOAT8, None)  # type: ignore[arg-type]
        except SqlError:
            number = math.nan
        if math.isfinite(number):
            return Decimal(f"{float(f'{number:.15g}')!r}") if number else Decimal(float_text(0.0))
        raise PathError(NonNumericJsonItem("string argument of jsonpath item method .double() is not a valid representation "
                                           "of a double precision number"))
    raise PathError(NonNumericJsonItem("jsonpath item method .double() can only be applied to a string or numeric value"))


def _digits_after(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def _group(value: Decimal) -> tuple[int, int]:
    """The weight and the value of the first digit in base 10,000."""
    if not value:
        return 0, 0
    weight = value.adjusted() // 4
    return weight, int(abs(value).scaleb(-4 * weight, _WIDE))


def divided(left: Decimal, right: Decimal) -> Decimal:
    """numeric's division: at least 16 significant digits. Raises: DivisionByZero (22012)."""
    if not right:
        raise DivisionByZero("division by zero")
    (weight, digit), (other_weight, other_digit) = _group(left), _group(right)
    quotient_weight = weight - other_weight - (digit <= other_digit)
    scale = min(max(16 - quotient_weight * 4, _digits_after(left), _digits_after(right), 0), 1000)
    return _WIDE.divide(left, right).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE) \
        if left else Decimal(0).scaleb(-scale)


def _computed(symbol: str, left: Decimal, right: Decimal) -> Decimal:
    if symbol == "+":
        return _WIDE.add(left, right)
    if symbol == "-":
        return _WIDE.subtract(left, right)
    if symbol == "*":
        return _WIDE.multiply(left, right)
    if not right:
        raise PathError(DivisionByZero("division by zero"))
    return divided(left, right) if symbol == "/" else _WIDE.remainder(left, right)


_HANDLERS: dict[str, Callable[..., Iterator[Any]]] = {
    **dict.fromkeys(("null", "bool", "number", "string"), Evaluation._constant),
    "root": Evaluation._root, "current": Evaluation._current, "variable": Evaluation._variable, "key": Evaluation._key,
    "any_key": Evaluation._any_key, "any_array": Evaluation._any_array, "index": Evaluation._index,
    "last": Evaluation._last, "levels": Evaluation._levels, "filter": Evaluation._filter, "method": Evaluation._method,
    "datetime": Evaluation._datetime, **dict.fromkeys(ARITHMETIC, Evaluation._arithmetic),
    "unary +": Evaluation._sign, "unary -": Evaluation._sign}
