"""Numbers by template: to_char() and to_number(), a template's parts in turn, as PostgreSQL's own processor does.

Spec: PostgreSQL 15 documentation, 9.8 (tables 9.29 and 9.30), locale C: the point, the comma, a blank as currency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Final

from shoal.catalog.errors import (
    FeatureNotSupported,
    InvalidTextRepresentation,
    NumericOutOfRange,
    SqlSyntaxError,
)

_KEYWORDS: Final = ("EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", ",", ".", "0", "9", "B", "C", "D", "G", "L", "S",
                    "V")
_ROMAN: Final = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
                 (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
_CONTEXT: Final = Context(prec=2000)
_DATA: Final = "0123456789.,+-"
_FLOAT_DIGITS: Final = 15
_POWER_SCALE: Final = 16
"""Digits after the point of the power of ten that V divides by."""


@dataclass(slots=True)
class NumberFormat:
    """What a template says as a whole, and its parts: (keyword, "") or ("", literal)."""

    parts: list[tuple[str, str]] = field(default_factory=list)
    whole: int = 0
    fraction: int = 0
    shift: int = 0
    """Digits after V."""
    zero_start: int = -1
    """The place of the first 0 among the digits before the point, -1 for none."""
    zero_end: int = 0
    sign: str = ""
    """"pre" or "post" of the digits, where S says so."""
    digits_before_sign: int = 0
    flags: frozenset[str] = frozenset()
    """FM point V S MI PL PR RN EEEE B."""


def _fault(text: str, detail: str = "") -> SqlSyntaxError:
    return SqlSyntaxError(text, detail=detail)


@lru_cache(maxsize=256)
def number_format(template: str) -> NumberFormat:
    """Raises: SqlSyntaxError (42601) for templates that contradict themselves."""
    parsed = NumberFormat()
    flags: set[str] = set()
    i = 0
    while i < len(template):
        keyword = next((k for k in _KEYWORDS if template.startswith((k, k.lower()), i)), None)
        if keyword is not None:
            spelled = template[i:i + len(keyword)]
            i += len(keyword)
            _note(parsed, flags, keyword)
            parsed.parts.append((spelled if keyword in ("TH", "RN") else keyword, ""))
            continue
        if template[i] == '"':
            i += 1
            while i < len(template) and template[i] != '"':
                i += template[i] == "\\" and i + 1 < len(template)
                parsed.parts.append(("", template[i]))
                i += 1
            i += 1
            continue
        i += template.startswith('\\"', i)
        parsed.parts.append(("", template[i]))
        i += 1
    parsed.flags = frozenset(flags)
    return parsed


def _note(parsed: NumberFormat, flags: set[str], keyword: str) -> None:
    if "EEEE" in flags and keyword != "EEEE":
        raise _fault('"EEEE" must be the last pattern used')
    match keyword:
        case "9" | "0":
            if "PR" in flags:
                raise _fault(f'"{keyword}" must be ahead of "PR"')
            if keyword == "9" and "V" in flags:
                parsed.shift += 1
                return
            if keyword == "0" and parsed.zero_start < 0 and "." not in flags:
                parsed.zero_start = parsed.whole
            if "." in flags:
                parsed.fraction += 1
            else:
                parsed.whole += 1
            if keyword == "0":
                parsed.zero_end = parsed.whole + parsed.fraction
        case "." | "D":
            if "." in flags:
                raise _fault("multiple decimal points")
            if "V" in flags:
                raise _fault('cannot use "V" and decimal point together')
            flags.add(".")
        case "S":
            if "S" in flags:
                raise _fault('cannot use "S" twice')
            if flags & {"PL", "MI", "PR"}:
                raise _fault('cannot use "S" and "PL"/"MI"/"SG"/"PR" together')
            flags.add("S")
            parsed.sign = "post" if "." in flags else "pre"
            parsed.digits_before_sign = parsed.whole
        case "MI" | "PL" | "SG":
            if "S" in flags:
                raise _fault(f'cannot use "S" and "{keyword}" together')
            flags |= {"MI", "PL"} if keyword == "SG" else {keyword}
        case "PR":
            if flags & {"S", "PL", "MI"}:
                raise _fault('cannot use "PR" and "S"/"PL"/"MI"/"SG" together')
            flags.add("PR")
        case "V":
            if "." in flags:
                raise _fault('cannot use "V" and decimal point together')
            flags.add("V")
        case "EEEE":
            if "EEEE" in flags:
                raise _fault('cannot use "EEEE" twice')
            if flags - {".", "EEEE"}:
                raise _fault('"EEEE" is incompatible with other formats',
                             'Only digit and decimal point patterns may be used together with "EEEE".')
            flags.add("EEEE")
        case "B":
            if not parsed.whole and not parsed.fraction and parsed.zero_start < 0:
                flags.add("B")
        case "FM" | "RN":
            flags.add(keyword)


# --- to_char

def format_number(value: int | Decimal | float, template: str, *, digits: int = _FLOAT_DIGITS) -> str:
    """to_char of one number; `digits` are those a float surely has.

    Raises: NumericOutOfRange (22003), FeatureNotSupported (0A000), InvalidTextRepresentation (22P02).
    """
    parsed = number_format(template)
    if not template:
        return ""
    whole, fraction = parsed.whole, parsed.fraction
    if "RN" in parsed.flags:
        return _Writer(parsed, _roman(value), "", 0, whole, fraction).text()
    if "EEEE" in parsed.flags:
        return _Writer(parsed, _scientific(value, parsed), "+", 0, whole, fraction).text()
    whole += parsed.shift
    if isinstance(value, float):
        text, fraction = _float_text(value, parsed.shift, fraction, digits)
    elif isinstance(value, int):
        text = str(value * 10 ** parsed.shift) + ("." + "0" * fraction if fraction else "")
    elif not value.is_finite():
        text = str(value)
    else:
        shifted = value.scaleb(parsed.shift, _CONTEXT)
        rounded = shifted.quantize(Decimal(1).scaleb(-fraction), ROUND_HALF_UP, _CONTEXT)
        text = f"{rounded if rounded else abs(rounded):f}"
    sign = "-" if text.startswith("-") else "+"
    text = text.lstrip("-")
    before = len(text.partition(".")[0])
    spaces = max(whole - before, 0)
    if before > whole:
        text = "#" * whole + "." + "#" * fraction
    return _Writer(parsed, text, sign, spaces, whole, fraction).text()


def _float_text(value: float, shift: int, fraction: int, digits: int) -> tuple[str, int]:
    """(decimal text, digits after the point), no more digits than a float of this type surely has."""
    odd = "" if math.isfinite(value) else "NaN" if math.isnan(value) else "-Infinity" if value < 0 else "Infinity"
    value *= 10.0 ** shift
    before = len(odd.lstrip("-") or f"{abs(value):.0f}")  # the letters of Infinity count as digits
    fraction = 0 if before >= digits else min(fraction, digits - before)
    return odd or f"{value:.{fraction}f}", fraction


def _roman(value: int | Decimal | float) -> str:
    if isinstance(value, float):
        number = round(value) if math.isfinite(value) else 0
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise FeatureNotSupported(f"cannot convert {'NaN' if value.is_nan() else 'infinity'} to integer")
        number = int(value.to_integral_value(ROUND_HALF_UP))
        if not -(1 << 31) <= number < 1 << 31:
            raise NumericOutOfRange("integer out of range")
    else:
        number = value
        if not -(1 << 31) <= number < 1 << 31:
            raise NumericOutOfRange("integer out of range")
    if not 0 < number < 4000:
        return "#" * 15
    text = ""
    for size, letters in _ROMAN:
        text += letters * (number // size)
        number %= size
    return text


def _scientific(value: int | Decimal | float, parsed: NumberFormat) -> str:
    if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        return " " + "#" * parsed.whole + "." + "#" * (parsed.fraction + 4)
    if isinstance(value, Decimal):
        if value == 0:
            mantissa, exponent, sign = "0" + ("." + "0" * parsed.fraction if parsed.fraction else ""), 0, ""
        else:
            exponent = value.adjusted()
            last = Decimal(1).scaleb(-parsed.fraction)
            scaled = abs(value).scaleb(-exponent, _CONTEXT).quantize(last, ROUND_HALF_UP, _CONTEXT)
            mantissa, sign = f"{scaled:f}", "-" if value < 0 else ""
        text = f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    else:
        text = f"{float(value):.{parsed.fraction}e}"
    return text if text.startswith("-") else " " + text


class _Writer:
    """Lays the characters of a number out in a template's places."""

    def __init__(self, parsed: NumberFormat, number: str, sign: str, spaces: int, whole: int, fraction: int) -> None:
        self.format, self.number, self.sign, self.spaces = parsed, number, sign, spaces
        flags = parsed.flags
        self.fill = "FM" not in flags
        self.roman = "RN" in flags
        self.brackets = "PR" in flags and (sign == "-" or self.fill)
        self.point = "." in flags
        self.fraction = fraction
        self.sign_place = parsed.sign
        if flags & {"PL", "MI"}:
            self.signed = "MI" in flags
        else:
            self.signed = sign == "+" and not self.fill and "S" not in flags
            if parsed.sign == "pre" and whole == parsed.digits_before_sign:
                self.sign_place = "post"
        self.count = fraction + whole - 1
        self.last_relevant = -1
        """The place of the last digit after the point that FM leaves, -1 where all stay."""
        if not self.fill and self.point and "." in number:
            self._find_last_relevant()
        if not self.signed and not spaces:
            self.count += 1
        self.at = self.place = 0
        self.inside = self.ended = False
        self.out: list[str] = []

    def _find_last_relevant(self) -> None:
        point = self.number.index(".")
        self.last_relevant = max((i for i in range(point, len(self.number)) if self.number[i] != "0"), default=point)
        if self.format.zero_end > self.spaces:
            self.last_relevant = max(self.last_relevant, min(len(self.number) - 1, self.format.zero_end - self.spaces))

    def text(self) -> str:
        if "EEEE" in self.format.flags:
            return self.number
        for keyword, literal in self.format.parts:
            if not keyword:
                self.out.append(literal)
            elif keyword == "SG" and not self.sign:  # a Roman number has none
                self.ended = True
            else:
                self._put(keyword)
            if self.ended:  # PostgreSQL's text is cut off where it writes what is not there
                break
        return "".join(self.out)

    def _put(self, keyword: str) -> None:
        match keyword:
            case "9" | "0" | "." | "D":
                if not self.roman:
                    self._digit(keyword)
            case "," | "G":
                if self.inside:
                    self.out.append(",")
                elif self.fill:
                    self.out.append(" ")
            case "L":
                self.out.append(" ")
            case "RN" | "rn":
                text = self.number if keyword == "RN" else self.number.lower()
                self.out.append(text.rjust(15) if self.fill else text)
            case "TH" | "th":
                if not (self.roman or self.number.startswith("#") or self.sign == "-" or self.point):
                    self.out.append(ordinal(self.number, keyword))
            case "MI":
                self.out.append("-" if self.sign == "-" else " " if self.fill else "")
            case "PL":
                self.out.append("+" if self.sign == "+" else " " if self.fill else "")
            case "SG":
                self.out.append(self.sign)

    def _before_point(self) -> bool:
        """Whether the next digit is a lone zero before the point, which a 9 does not show."""
        return self.format.zero_start < 0 and not self.at and self.number.startswith("0") and self.fraction != 0

    def _ends_at_point(self) -> bool:
        return self.last_relevant >= 0 and self.number[self.last_relevant] == "."

    def _digit(self, keyword: str) -> None:
        self.inside = False
        zero_start = self.format.zero_start
        if (not self.signed and (self.place >= self.spaces or zero_start == self.place)
                and (not self._before_point() or self._ends_at_point())):
            self._put_sign()
        if self.place < self.spaces and (zero_start < 0 or zero_start > self.place):
            if self.fill:
                self.out.append(" ")
        elif self.place < self.spaces:
            self.out.append("0")
            self.inside = True
        else:
            self._put_character(keyword)
        end = self.count + (1 if self.spaces else 0) + (1 if self.point else 0)
        if self.last_relevant >= 0 and self.last_relevant == self.at:
            end = self.place
        if self.place + 1 == end:
            if self.signed and self.brackets:
                self.out.append(" " if self.sign == "+" else ">")
            elif "S" in self.format.flags and self.sign_place == "post":
                self.out.append(self.sign)
        self.place += 1

    def _put_sign(self) -> None:
        if "S" in self.format.flags:
            if self.sign_place != "pre":
                return
            self.out.append(self.sign)
        elif self.brackets:
            self.out.append(" " if self.sign == "+" else "<")
        elif self.sign == "-" or self.fill:
            self.out.append("-" if self.sign == "-" else " ")
        self.signed = True

    def _put_character(self, keyword: str) -> None:
        if self.at >= len(self.number):
            self.ended = True
            return
        char = self.number[self.at]
        if char == ".":
            self.out.append(".")
        elif 0 <= self.last_relevant < self.at and keyword != "0":
            pass
        elif self._before_point():
            if self.fill:
                self.out.append(" ")
            elif self._ends_at_point():
                self.out.append("0")
        else:
            self.out.append(char)
            self.inside = True
        self.at += 1


def ordinal(number: str, suffix: str) -> str:
    """st, nd, rd or th of the number's text, in the suffix's case. Raises: InvalidTextRepresentation (22P02)."""
    if not number[-1:].isdigit():
        raise InvalidTextRepresentation(f'"{number}" is not a number')
    last = "0" if len(number) > 1 and number[-2] == "1" else number[-1]
    word = {"1": "st", "2": "nd", "3": "rd"}.get(last, "th")
    return word.upper() if suffix == "TH" else word


# --- to_number

def read_number(text: str, template: str) -> Decimal | None:
    """to_number of one text; None for an empty template.

    Raises: InvalidTextRepresentation (22P02) where it has no digits, FeatureNotSupported (0A000) for RN.
    """
    if not template:
        return None
    parsed = number_format(template)
    if "RN" in parsed.flags:
        raise FeatureNotSupported('"RN" not supported for input')
    if "EEEE" in parsed.flags:
        raise FeatureNotSupported('"EEEE" not supported for input')
    found = _Reader(parsed, text).number()
    try:
        value = Decimal(found)
    except ArithmeticError:
        raise InvalidTextRepresentation(f'invalid input syntax for type numeric: "{found}"') from None
    places = parsed.whole + parsed.shift
    if abs(value) >= Decimal(10) ** places:
        bound = f"10^{places}" if places else "1"
        scale = -int(value.as_tuple().exponent)
        raise NumericOutOfRange("numeric field overflow", detail=(
            f"A field with precision {places + scale}, scale {scale} must round to an absolute value less than {bound}."))
    if "V" not in parsed.flags:
        return value
    last = Decimal(1).scaleb(-max(_POWER_SCALE, parsed.shift))
    return value.scaleb(-parsed.shift, _CONTEXT).quantize(last, context=_CONTEXT)


class _Reader:
    """Reads a text along a template: digits are taken wherever one is expected, other characters are let pass."""

    def __init__(self, parsed: NumberFormat, text: str) -> None:
        self.format, self.text = parsed, text
        self.at = 0
        self.sign = " "
        self.digits = ""
        self.after_point = -1
        """Digits read after the point, -1 before it."""

    def number(self) -> str:
        for keyword, _ in self.format.parts:
            if self.at >= len(self.text):
                break
            if not keyword or self._take(keyword):
                self.at += 1
        return self.sign + self.digits.removesuffix(".")

    def _take(self, keyword: str) -> bool:
        """Whether one more character is passed."""
        char = self.text[self.at]
        match keyword:
            case "9" | "0" | "." | "D":
                self._digit(keyword)
                return True
            case "," | "G":
                return char == "," and "FM" not in self.format.flags
            case "L":
                self._pass(1)
            case "TH" | "th":
                if not (self.sign == "-" or "." in self.format.flags):
                    self._pass(2)
            case "MI" | "PL" | "SG":
                if char in {"MI": "-", "PL": "+", "SG": "+-"}[keyword]:
                    self.sign = char
                    return True
                self._pass(1)
        return False

    def _pass(self, count: int) -> None:
        """Up to `count` characters that mean nothing."""
        while count and self.at < len(self.text) and self.text[self.at] not in _DATA:
            self.at += 1
            count -= 1

    def _digit(self, keyword: str) -> None:
        text, flags, size = self.text, self.format.flags, len(self.text)
        if text[self.at] == " ":
            self.at += 1
        if self.at >= size:
            return
        if self.sign == " " and keyword in "09" and not self.digits.strip("."):
            self._leading_sign()
        if self.at >= size:
            return
        read = False
        if text[self.at] in "0123456789":
            if self.after_point == self.format.fraction:
                return
            self.digits += text[self.at]
            self.after_point += self.after_point >= 0
            read = True
        elif "." in flags and self.after_point < 0 and text[self.at] == ".":
            self.digits += "."
            self.after_point = 0
            read = True
        if self.sign != " " or not self.digits.strip("."):
            return
        if "S" in flags and read:
            if self.at + 1 < size and text[self.at + 1] in "+-":
                self.at += 1
                self.sign = text[self.at]
        elif not read and "S" not in flags and flags & {"PL", "MI"} and text[self.at] in "+-":
            self.sign = text[self.at]

    def _leading_sign(self) -> None:
        char = self.text[self.at]
        if "S" in self.format.flags and self.format.sign == "post":
            brackets = False
        else:
            brackets = "PR" in self.format.flags
        if char == "-" or (brackets and char == "<"):
            self.sign = "-"
            self.at += 1
        elif char == "+":
            self.sign = "+"
            self.at += 1
