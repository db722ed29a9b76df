"""to_char and to_number for numbers: templates of 9, 0, D, G, S, MI, PL, SG, PR, FM, TH, V, RN, EEEE, L and literals.

Spec: PostgreSQL 15 documentation, 9.8, tables 9.28 and 9.29, locale C ("." and ",").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from shoal.catalog.errors import FeatureNotSupported, InvalidTextRepresentation, SqlSyntaxError
from shoal.exec.kernels.formatting import ordinal

_TOKENS = ("EEEE", "FM", "MI", "PL", "SG", "PR", "TH", "RN", "th", "rn")
_ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
          (9, "IX"), (5, "V"),
          (4, "IV"), (1, "I"))


@dataclass(slots=True)
class NumberFormat:
    tokens: list[str] = field(default_factory=list)
    """"9" "0" "." "," and sign words in order; literals as '"text'."""
    fill: bool = True
    whole: int = 0
    fraction: int = 0
    zero_start: int = -1
    """Index among the whole digits of the first 0, -1 for none."""
    zero_end: int = 0
    """Fraction digits up to the last 0: shown even with FM."""
    shift: int = 0
    sign: str = ""
    """S, MI, PL, SG, PR, or none."""
    roman: str = ""
    exponent: bool = False
    sign_first: bool = True


@lru_cache(maxsize=256)
def number_format(template: str) -> NumberFormat:
    """Raises: SqlSyntaxError (42601) for templates that contradict themselves."""
    parsed = NumberFormat()
    i, after_point, after_v, digits_seen = 0, False, False, False
    while i < len(template):
        if template[i] == '"':
            end = template.find('"', i + 1)
            end = len(template) if end < 0 else end
            parsed.tokens.append('"' + template[i + 1:end])
            i = end + 1
            continue
        token = next((t for t in _TOKENS if template[i:i + len(t)] == t or
                      (t.isupper() and t != "TH" and template[i:i + len(t)].upper() == t)), None)
        char = token or template[i].upper()
        i += len(token or "x")
        if char == "FM":
            parsed.fill = False
        elif char in ("9", "0"):
            digits_seen = True
            if after_v:
                parsed.shift += 1
            if after_point:
                parsed.fraction += 1
                if char == "0":
                    parsed.zero_end = parsed.fraction
            else:
                if char == "0" and parsed.zero_start < 0:
                    parsed.zero_start = parsed.whole
                parsed.whole += 1
            parsed.tokens.append(char)
        elif char in (".", "D"):
            if after_point:
                raise SqlSyntaxError("multiple decimal points")
            after_point = True
            parsed.tokens.append(".")
        elif char in (",", "G"):
            parsed.tokens.append(",")
        elif char == "V":
            after_v = True
        elif char in ("S", "MI", "PL", "SG", "PR"):
            if char == "S" and parsed.sign == "S":
                raise SqlSyntaxError("cannot use \"S\" twice")
            parsed.sign = char
            parsed.sign_first = not digits_seen
            parsed.tokens.append(char)
        elif char in ("RN", "rn"):
            parsed.roman = char
        elif char == "EEEE":
            parsed.exponent = True
        elif char in ("TH", "th"):
            parsed.tokens.append(char)
        elif char == "L":
            parsed.tokens.append('" ')
        else:
            parsed.tokens.append('"' + (template[i - 1] if token is None else char))
    return parsed


def format_number(value: Decimal | float, template: str) -> str:
    """to_char of one number."""
    parsed = number_format(template)
    if not math.isfinite(value):
        return _not_finite(value, parsed)
    if isinstance(value, float):
        value = Decimal(repr(value)) if not parsed.exponent else Decimal(value)
    if parsed.roman:
        return _roman(value, parsed)
    if parsed.exponent:
        return _scientific(value, parsed)
    if parsed.shift:
        value = value.scaleb(parsed.shift)
    rounded = abs(value).quantize(Decimal(1).scaleb(-parsed.fraction), ROUND_HALF_UP) if value.is_finite() else abs(value)
    negative = value < 0 and rounded != 0
    digits = f"{rounded:f}"
    whole, _, fraction = digits.partition(".")
    whole = "" if whole == "0" else whole
    if len(whole) > parsed.whole:
        whole, fraction = "#" * parsed.whole, "#" * parsed.fraction
    return _laid_out(parsed, whole, fraction, negative, rounded)


def _not_finite(value: Decimal | float, parsed: NumberFormat) -> str:
    """NaN and the infinities: their letters take the places of digits, and nothing follows from the point on."""
    word, negative = ("NaN", False) if value != value else ("Infinity", value < 0)
    if parsed.roman:
        if isinstance(value, Decimal):
            raise FeatureNotSupported(f"cannot convert {word if word == 'NaN' else 'infinity'} to integer")
        return "#" * 15
    if parsed.exponent:
        return " " + "#" * parsed.whole + "." + "#" * (parsed.fraction + 4)
    if len(word) > parsed.whole:
        if not parsed.tokens:
            return ""
        return _laid_out(parsed, "#" * parsed.whole, "#" * parsed.fraction, negative, Decimal(0))
    return _laid_out(parsed, word, "", negative, Decimal(value))


def _laid_out(parsed: NumberFormat, whole: str, fraction: str, negative: bool, value: Decimal) -> str:
    """Digits into the template's places. Raises: InvalidTextRepresentation (22P02) for the ordinal of no number."""
    skipped = parsed.whole - len(whole)
    first_shown = skipped if parsed.zero_start < 0 else min(skipped, parsed.zero_start)
    if not whole and parsed.whole and parsed.zero_start < 0 and not parsed.fraction:
        first_shown = parsed.whole - 1  # a bare zero shows its last digit
        whole, skipped = "0", parsed.whole - 1
    # zeros at the end that FM drops
    shown_fraction = len(fraction.rstrip("0")) if not parsed.fill else len(fraction)
    shown_fraction = max(shown_fraction, min(parsed.zero_end, parsed.fraction))
    sign_text = _leading_sign(parsed, negative)
    out: list[str] = []
    place, fraction_place, signed = 0, 0, False
    seen_digit = False

    def put_sign() -> None:
        nonlocal signed
        if not signed:
            out.append(sign_text)
            signed = True
    in_fraction = False
    for token in parsed.tokens:
        if token in ("9", "0"):
            if in_fraction:
                if fraction_place < shown_fraction:
                    out.append(fraction[fraction_place])
                elif parsed.fill:
                    out.append("0")
                fraction_place += 1
            else:
                if place >= first_shown:
                    put_sign()
                    seen_digit = True
                    out.append(whole[place - skipped] if place >= skipped else "0")
                elif parsed.fill:
                    out.append(" ")
                place += 1
        elif token == ".":
            put_sign()
            if not value.is_finite():
                return "".join(out)
            in_fraction = True
            out.append(".")
        elif token == ",":
            if seen_digit:
                out.append(",")
            elif parsed.fill:
                out.append(" ")
        elif token == "MI":
            out.append("-" if negative else " " if parsed.fill else "")
        elif token == "PL":
            out.append("+" if not negative else " " if parsed.fill else "")
        elif token == "SG":
            out.append("-" if negative else "+")
        elif token in ("S", "PR"):
            if not parsed.sign_first and token == "S":
                out.append("-" if negative else "+")
        elif token in ("TH", "th"):
            if not negative and not parsed.fraction:
                if not value.is_finite():
                    raise InvalidTextRepresentation(f'"{whole}" is not a number')
                out.append(ordinal(int(value), token))
        else:
            out.append(token[1:])
    put_sign()
    if parsed.sign == "PR":
        out.append(">" if negative else " " if parsed.fill else "")
    return "".join(out)


def _leading_sign(parsed: NumberFormat, negative: bool) -> str:
    if parsed.sign == "S":
        return ("-" if negative else "+") if parsed.sign_first else ""
    if parsed.sign == "PR":
        return "<" if negative else " " if parsed.fill else ""
    if parsed.sign in ("MI", "SG"):
        return ""
    if parsed.sign == "PL":
        return "-" if negative else " " if parsed.fill else ""
    return "-" if negative else " " if parsed.fill else ""


def _scientific(value: Decimal, parsed: NumberFormat) -> str:
    text = f"{value:.{parsed.fraction}e}"
    mantissa, exponent = text.split("e")
    number = int(exponent)
    sign = "" if value < 0 else "+" if parsed.sign == "S" else " " if parsed.fill else ""
    return f"{sign}{mantissa}e{'-' if number < 0 else '+'}{abs(number):02d}"


def _roman(value: Decimal, parsed: NumberFormat) -> str:
    number = int(value.to_integral_value(ROUND_HALF_UP))
    if not 0 < number < 4000:
        return "#" * 15
    text = ""
    for size, letters in _ROMAN:
        text += letters * (number // size)
        number %= size
    text = text.lower() if parsed.roman == "rn" else text
    return text.rjust(15) if parsed.fill else text


def read_number(text: str, template: str) -> Decimal | None:
    """to_number of one text; None where it has no digits."""
    parsed = number_format(template)
    negative = False
    whole, fraction, in_fraction = "", "", False
    for char in text:
        if char.isdigit():
            if in_fraction:
                fraction += char if len(fraction) < max(parsed.fraction, 0) else ""
            elif len(whole) < parsed.whole or not parsed.whole:
                whole += char
        elif char == ".":
            in_fraction = True
        elif char in "-<":
            negative = True
    if not whole and not fraction:
        return None
    value = Decimal(f"{whole or '0'}.{fraction or '0'}").scaleb(-parsed.shift)
    return -value if negative else value
