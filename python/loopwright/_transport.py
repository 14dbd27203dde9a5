"""The wire: one connection pool, JSON, Arrow, and retries of what may be repeated."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import httpx
import pyarrow as pa

from ._errors import ConnectionFailed, InvalidRequest, ServerFault, TimedOut, error_of

#: Answers after which the same request may succeed: too much at once, and a server that starts or stops.
_REPEATABLE = {429, 503}
_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.25


class Transport:
    """Calls the native API of one server."""

    def __init__(self, url: str, token: str | None, actor: str | None, timeout_s: float, transport: httpx.BaseTransport | None = None):
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if actor:
            headers["X-Loopwright-Actor"] = actor
        self.url = url
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, transport=transport)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a resource. Parameters that are ``None`` are left out."""
        return self._json(self._send("GET", path, params={name: value for name, value in query.items() if value is not None}))

    def post(self, path: str, body: dict[str, Any] | None = None, *, actor: str | None = None) -> Any:
        headers = {"Content-Type": "application/json"} | ({"X-Loopwright-Actor": actor} if actor else {})
        return self._json(self._send("POST", path, content=_encoded(body or {}), headers=headers))

    def arrow(self, path: str) -> pa.Table:
        """A table that comes as an Arrow IPC stream."""
        response = self._send("GET", path)
        with pa.ipc.open_stream(pa.py_buffer(response.content)) as reader:
            return reader.read_all()

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = self._http.request(method, path, **arguments)
            except httpx.TimeoutException as error:
                raise TimedOut(f"the server at {self.url} did not answer in time", hint="give a longer timeout_s") from error
            except httpx.TransportError as error:
                hint = "start it with `loopwright up`, or give the url of the one that runs"
                raise ConnectionFailed(f"no server answers at {self.url}: {error}", hint=hint) from error
            if response.is_success:
                return response
            if response.status_code not in _REPEATABLE or attempt == _ATTEMPTS:
                raise error_of(response.status_code, _document(response))
            time.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("the last attempt returns or raises")

    @staticmethod
    def _json(response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise ServerFault("the server's answer is no JSON", status=response.status_code) from error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _encoded(body: dict[str, Any]) -> bytes:
    """The body as JSON, which knows neither NaN nor infinity: they are refused here, with the place where they stand."""
    try:
        return json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except ValueError as error:
        place = next(_not_finite(body), None)
        message = f"{place} is not a finite number" if place else f"the request cannot be sent as JSON: {error}"
        raise InvalidRequest(message, code="invalid-body", hint="send None where a value is unknown") from error


def _not_finite(value: Any, place: str = "") -> Iterator[str]:
    """Where NaN and infinities stand, such as ``rows[3].distance``."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"`{place}`"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_finite(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{place}[{index}]")


def _document(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
