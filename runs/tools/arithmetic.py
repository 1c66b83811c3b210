"""Expressions and their values: exact as fractions as long as that is possible, bounded always. Pure functions.

Python's parser reads an expression; what it may hold is walked through here, and nothing of it is ever executed. No
step may make a number with more than ``MAXIMUM_BITS``, which is asked before the step is made.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

Number = Fraction | float  # a float is inexact

MAXIMUM_LENGTH = 1_000  # characters of an expression
MAXIMUM_DEPTH = 60  # of parentheses, functions and signs within each other
MAXIMUM_BITS = 8_192  # of a numerator or a denominator: some 2,400 digits
MAXIMUM_EXPONENT = 2_000  # decimal, of a number that is written down
MAXIMUM_FACTORIAL = 800
MAXIMUM_PLACES = 100  # to round to
SHOWN_PLACES = 60  # of a decimal fraction that is shown as one
AS_WRITTEN = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "\n": " ", "\t": " "})

TOO_LARGE = "A number in this calculation becomes too large."
TOO_COMPLEX = "The expression is nested too deeply."
UNREADABLE = "This is not an expression that can be calculated."


class Incalculable(Exception):
    """Why there is no value, in a sentence."""


def value_of(expression: str) -> Number:
    """:raises Incalculable: it is no expression, it has no value, or that is beyond the bounds."""
    text = expression.strip().translate(AS_WRITTEN)
    if len(text) > MAXIMUM_LENGTH:
        raise Incalculable(f"The expression is longer than {MAXIMUM_LENGTH} characters.")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        raise Incalculable(UNREADABLE) from None
    except (RecursionError, MemoryError):
        raise Incalculable(TOO_COMPLEX) from None
    return _Calculation(text).value(tree.body, 0)


def shown(value: Number) -> str:
    """A whole number, a decimal fraction, or a fraction; what is inexact is called so."""
    if isinstance(value, float):
        return f"about {int(value) if value.is_integer() and abs(value) < 1e15 else value!r}"
    if value.denominator == 1:
        return str(value.numerator)
    decimal = _decimal(value)
    if decimal is not None:
        return decimal
    text = f"{value.numerator}/{value.denominator}"
    return text if _is_beyond_floats(value) else f"{text} (about {float(value)!r})"


def _decimal(value: Fraction) -> str | None:
    """The fraction in decimals, where it ends within so many places."""
    scaled = value * 10**SHOWN_PLACES
    if scaled.denominator != 1:
        return None
    digits = str(abs(scaled.numerator)).rjust(SHOWN_PLACES + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-SHOWN_PLACES]}.{digits[-SHOWN_PLACES:].rstrip('0')}"


def _is_beyond_floats(value: Fraction) -> bool:
    try:
        return float(value) == 0.0
    except OverflowError:
        return True


class _Calculation:
    """One walk through an expression, whose text has the numbers as they were written."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, node: ast.expr, depth: int) -> Number:
        if depth > MAXIMUM_DEPTH:
            raise Incalculable(TOO_COMPLEX)
        try:
            return _bounded(self._value(node, depth + 1))
        except OverflowError:
            raise Incalculable(TOO_LARGE) from None
        except ZeroDivisionError:
            raise Incalculable("Nothing can be divided by zero.") from None

    def _value(self, node: ast.expr, depth: int) -> Number:
        match node:
            case ast.Constant():
                return self._number(node)
            case ast.Name():
                return _constant(node.id)
            case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
                value = self.value(node.operand, depth)
                return -value if isinstance(node.op, ast.USub) else value
            case ast.BinOp():
                return self._operation(node, depth)
            case ast.Call(func=ast.Name(id=name), keywords=[]):
                return _function(name)([self.value(part, depth) for part in node.args])
        raise Incalculable(UNREADABLE)

    def _number(self, node: ast.Constant) -> Fraction:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise Incalculable(UNREADABLE)
        if isinstance(node.value, int):
            return Fraction(node.value)
        written = Decimal(ast.get_source_segment(self._text, node) or "")  # of a float: exactly as it was written
        if written and abs(written.adjusted()) > MAXIMUM_EXPONENT:
            raise Incalculable(TOO_LARGE)
        return Fraction(written)

    def _operation(self, node: ast.BinOp, depth: int) -> Number:
        if isinstance(node.op, ast.BitXor):
            raise Incalculable("Write ** for powers.")
        operation = OPERATIONS.get(type(node.op))
        if operation is None:
            raise Incalculable(UNREADABLE)
        return operation(self.value(node.left, depth), self.value(node.right, depth))


def _bounded(value: Number) -> Number:
    """:raises Incalculable: it is too large, or no number."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Incalculable(TOO_LARGE)
    elif max(value.numerator.bit_length(), value.denominator.bit_length()) > MAXIMUM_BITS:
        raise Incalculable(TOO_LARGE)
    return value


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(base) not in (0, 1) and bits * abs(exponent) > 2 * MAXIMUM_BITS:
            raise Incalculable(TOO_LARGE)
        if abs(base) in (0, 1) and exponent > 1:
            exponent = 2 - exponent % 2  # of these the powers are few
        return base ** int(exponent)
    try:
        return math.pow(base, exponent)
    except ValueError:
        raise Incalculable("This power is not a real number.") from None


OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: _whole(math.floor(left / right)),
    ast.Mod: operator.mod,
    ast.Pow: _power,
}


def _whole(value: int) -> Fraction:
    return Fraction(value)


def _sqrt(value: Number) -> Number:
    if isinstance(value, Fraction) and value >= 0:
        root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        if root * root == value:
            return root
    return math.sqrt(value)


def _factorial(value: Number) -> Fraction:
    if not isinstance(value, Fraction) or value.denominator != 1 or value < 0:
        raise Incalculable("factorial takes a whole number that is not negative.")
    if value > MAXIMUM_FACTORIAL:
        raise Incalculable(f"factorial takes numbers up to {MAXIMUM_FACTORIAL}.")
    return Fraction(math.factorial(int(value)))


def _round(value: Number, places: Number = Fraction(0)) -> Fraction:
    """Halves go away from zero, as people do it."""
    if not isinstance(places, Fraction) or places.denominator != 1 or abs(places) > MAXIMUM_PLACES:
        raise Incalculable(f"round takes a whole number of places, up to {MAXIMUM_PLACES}.")
    exact = Fraction(repr(value)) if isinstance(value, float) else value
    scale = Fraction(10) ** int(places)
    size = math.floor(abs(exact) * scale + Fraction(1, 2)) / scale
    return size if exact >= 0 else -size


#: By name: what it takes at least and at most, and what it does.
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Number]]] = {
    "sqrt": (1, 1, _sqrt),
    "sin": (1, 1, math.sin),
    "cos": (1, 1, math.cos),
    "tan": (1, 1, math.tan),
    "log": (1, 2, math.log),
    "log10": (1, 1, math.log10),
    "exp": (1, 1, math.exp),
    "abs": (1, 1, abs),
    "round": (1, 2, _round),
    "min": (1, MAXIMUM_LENGTH, min),
    "max": (1, MAXIMUM_LENGTH, max),
    "floor": (1, 1, lambda value: _whole(math.floor(value))),
    "ceil": (1, 1, lambda value: _whole(math.ceil(value))),
    "factorial": (1, 1, _factorial),
}
FUNCTIONS = tuple(_FUNCTIONS)
CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e}


def _constant(name: str) -> float:
    if name not in CONSTANTS:
        raise Incalculable(f"'{name[:50]}' is unknown. There are the constants {' and '.join(CONSTANTS)}.")
    return CONSTANTS[name]


def _function(name: str) -> Callable[[Sequence[Number]], Number]:
    """The function of this name, which checks how many numbers it is given."""
    if name not in _FUNCTIONS:
        raise Incalculable(f"'{name[:50]}' is unknown. There are the functions {', '.join(FUNCTIONS)}.")
    least, most, function = _FUNCTIONS[name]

    def call(given: Sequence[Number]) -> Number:
        if not least <= len(given) <= most:
            raise Incalculable(f"{name} takes {least if least == most else f'{least} or more'} numbers.")
        try:
            return function(*given)
        except ValueError:
            raise Incalculable(f"{name} has no value there.") from None

    return call
