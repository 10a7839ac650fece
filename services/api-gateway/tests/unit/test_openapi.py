"""The public API's document: unchanged unless somebody meant to change it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from api_gateway.openapi import document

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parents[2] / "openapi.json"


def test_the_document_is_the_golden_one() -> None:
    """After a meant change: python -m api_gateway.openapi > services/api-gateway/openapi.json"""
    assert document() == GOLDEN.read_text()


def test_every_operation_answers_errors_as_problems() -> None:
    found = json.loads(document())
    assert found["openapi"].startswith("3.1")
    for path, operations in found["paths"].items():
        assert path.startswith("/v1/")
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["operationId"]
            assert ("security" in operation) == (not path.startswith("/v1/auth/"))
    assert "HTTPValidationError" not in str(found)


def test_what_an_operation_may_refuse_stands_with_it() -> None:
    for operations in json.loads(document())["paths"].values():
        for operation in operations.values():
            headers = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "header"}
            assert set(operation["responses"]["429"]["headers"]) == {"Retry-After", "RateLimit-Policy", "RateLimit"}
            assert ("409" in operation["responses"]) == ("idempotency-key" in headers)
            assert ("412" in operation["responses"]) == ("if-match" in headers)


def test_no_name_of_the_inside_is_public() -> None:
    text = document().lower()
    for word in ("sealed", "nats", "rag-svc", "tenant-svc", "epoch", "blob_key", "livekit", "/root", "/work"):
        assert word not in text, word
