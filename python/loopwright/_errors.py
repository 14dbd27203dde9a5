"""Errors as the server tells them: a kind, a code with a page of its own, a message and what to do next."""

from __future__ import annotations

from typing import Any


class LoopwrightError(Exception):
    """Anything that went wrong.

    ``code`` names a page: ``loopwright explain CODE`` prints it. ``hint`` says what to do next, ``request_id`` finds the server's
    log line.
    """

    def __init__(self, message: str, *, code: str = "", hint: str | None = None, request_id: str | None = None, status: int = 0):
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.request_id = request_id
        self.status = status

    def __str__(self) -> str:
        text = f"{self.message} [{self.code}]" if self.code else self.message
        return f"{text}\nhint: {self.hint}" if self.hint else text


class InvalidRequest(LoopwrightError):
    """The request is not valid."""


class NotFound(LoopwrightError):
    """There is no such thing."""


class ConflictError(LoopwrightError):
    """Somebody else changed it meanwhile: read it again."""


class Unauthenticated(LoopwrightError):
    """The server asks for a token, or the one given is not accepted."""


class Forbidden(LoopwrightError):
    """The token's holder may not do this."""


class Refused(LoopwrightError):
    """A gate, a contract or a policy said no."""


class Exhausted(LoopwrightError):
    """Too much at once: try again later."""


class Unavailable(LoopwrightError):
    """The server, or something it depends on, cannot answer now."""


class TimedOut(LoopwrightError):
    """It took too long."""


class ServerFault(LoopwrightError):
    """A defect of the server, or an answer that is none of ours."""


class ConnectionFailed(LoopwrightError):
    """No server answers at the address."""


_KINDS: dict[str, type[LoopwrightError]] = {
    "invalid": InvalidRequest,
    "not_found": NotFound,
    "conflict": ConflictError,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "refused": Refused,
    "exhausted": Exhausted,
    "upstream": Unavailable,
    "unavailable": Unavailable,
    "timeout": TimedOut,
    "bug": ServerFault,
}


def error_of(status: int, document: Any) -> LoopwrightError:
    """The error that a problem document (RFC 9457) tells of."""
    if not isinstance(document, dict) or "kind" not in document:
        return ServerFault(f"the server answered {status} without saying why", status=status)
    kind = _KINDS.get(str(document["kind"]), ServerFault)
    return kind(
        str(document.get("detail", "")),
        code=str(document.get("code", "")),
        hint=document.get("hint"),
        request_id=document.get("request_id"),
        status=status,
    )
