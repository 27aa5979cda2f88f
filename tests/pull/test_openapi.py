"""The OpenAPI document against the running API, by requests that schemathesis makes up from it."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawbar.pull.desk import Limits
from drawbar.pull.openapi import document
from tests.support.calls import message
from tests.support.pulling import Pulled
from tests.support.raw import RawClient

schemathesis = pytest.importorskip("schemathesis")

# Nobody waits for long here.
LIMITS = Limits(body_bytes=1_000, v1_wait_ms=1, wait_ms=1, most_wait_ms=1)
EXAMPLES = 25
"""Requests an operation: the whole file takes some seconds."""
# A schema cannot say what is a response in `message/http`, nor which identifiers were given out.
NOT_SAID = [schemathesis.checks.positive_data_acceptance]
SCHEMA = schemathesis.openapi.from_dict(document(LIMITS))
OPERATIONS = {operation.ok().definition.raw["operationId"]: operation.ok() for operation in SCHEMA.get_all_operations()}


@pytest.fixture(scope="module")
def served() -> Iterator[Pulled]:
    """A front and its API, run by a thread of their own, with a worker now and then."""
    with Pulled(limits=LIMITS, on_demand={"shop"}) as pulled:
        thread = threading.Thread(target=pulled.reactor.run)
        thread.start()
        try:
            yield pulled
        finally:
            pulled.reactor.stop()
            thread.join()


def lease(pulled: Pulled, client: RawClient) -> str:
    """The id of a request that has just been given out; `client` waits for its response."""
    client.send(message("GET /"))
    with RawClient(pulled.door.address) as worker:
        while True:
            response = worker.request(message("GET /api/v2/next"))
            if response.status == 200:
                return response.header("drawbar-request-id") or ""


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"attach"}))
def test_the_api_does_what_its_document_says(served: Pulled, name: str) -> None:
    operation = OPERATIONS[name]
    base = f"http://127.0.0.1:{served.door.address[1]}"

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def check(case: Any, real: bool) -> None:
        with RawClient(served.public.address) as client:
            if real and "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = lease(served, client)
            response = case.call(base_url=base)
        case.validate_response(response, excluded_checks=NOT_SAID)

    check()


def test_the_document_is_valid() -> None:
    assert SCHEMA.validate() is None
