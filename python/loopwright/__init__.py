"""A thin client of Loopwright: features, training sets, gates and approvals, endpoints, and the five answers.

Runs, metrics and artifacts are logged with MLflow's own client against the same server.
"""

from ._errors import (
    ConflictError,
    ConnectionFailed,
    Exhausted,
    Forbidden,
    InvalidRequest,
    LoopwrightError,
    NotFound,
    Refused,
    ServerFault,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from ._resources import Endpoint, FeatureView, Model, ModelVersion, Run, TrainingSet, Why
from .client import Client, connect

__all__ = [
    "Client",
    "ConflictError",
    "ConnectionFailed",
    "Endpoint",
    "Exhausted",
    "FeatureView",
    "Forbidden",
    "InvalidRequest",
    "LoopwrightError",
    "Model",
    "ModelVersion",
    "NotFound",
    "Refused",
    "Run",
    "ServerFault",
    "TimedOut",
    "TrainingSet",
    "Unauthenticated",
    "Unavailable",
    "Why",
    "connect",
]
