"""What clients are told of model calls that failed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from inference.chat import EngineUnavailable, InferenceError
from sovereign.core.errors import INVALID_REQUEST, SERVER_ERROR, ApiError

RETRY_AFTER = 5  # seconds, where nobody knows better
REFUSALS = {
    "invalid_prompt": HTTPStatus.BAD_REQUEST,
    "unsupported": HTTPStatus.BAD_REQUEST,
    "model_not_found": HTTPStatus.NOT_FOUND,
}
CODES = {"unsupported": "unsupported_value"}


def api_error(error: InferenceError) -> ApiError:
    """The failure in the contract's envelope."""
    headers = dict(error.headers)
    if error.code == "rate_limit_exceeded":
        headers.setdefault("retry-after", _seconds(error))
        return ApiError(
            error.message,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            type=error.type,
            param=error.param,
            code=error.code,
            headers=headers,
        )
    if isinstance(error, EngineUnavailable):
        headers["Retry-After"] = _seconds(error)
        return ApiError(
            error.message,
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            type=SERVER_ERROR,
            code="service_unavailable",
            headers=headers,
        )
    if (status := REFUSALS.get(error.code)) is not None:
        code = CODES.get(error.code, error.code)
        return ApiError(
            error.message, status=status, type=INVALID_REQUEST, param=error.param, code=code, headers=headers
        )
    return ApiError(
        error.message,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        type=SERVER_ERROR,
        param=error.param,
        code=SERVER_ERROR,
        headers=headers,
    )


@contextmanager
def told() -> Iterator[None]:
    """Within this, a failed model call is an ``ApiError``."""
    try:
        yield
    except InferenceError as error:
        raise api_error(error) from error


def _seconds(error: InferenceError) -> str:
    return str(max(1, math.ceil(RETRY_AFTER if error.retry_after is None else error.retry_after)))
