"""A service that is not warm yet: its workers are busy for as long as it takes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import client_of, service_of
from starlette.testclient import TestClient

from marey.errors import UsageError
from marey.serving import Limits, Service


@pytest.fixture(scope="module")
def cold(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    limits = Limits(queue=1, deadline=0.2)
    return service_of(checkpoint, tmp_path_factory.mktemp("cold"), limits=limits)


@pytest.fixture(scope="module")
def asking(cold: Service) -> Iterator[TestClient]:
    with client_of(cold) as client:
        yield client


def test_the_service_lives_before_it_is_ready(asking: TestClient) -> None:
    assert asking.get("/readyz").status_code == 503
    assert asking.get("/livez").status_code == 200


def test_an_answer_that_is_late_is_504(asking: TestClient) -> None:
    begun = time.monotonic()
    answer = asking.post("/v1/predict", content=b"video")
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "late"
    assert time.monotonic() - begun < 2


def test_one_job_more_than_the_queue_holds_is_told_to_come_again(asking: TestClient) -> None:
    first = asking.post("/v1/jobs", content=b"video")
    assert first.status_code == 202
    second = asking.post("/v1/jobs", content=b"video")
    assert second.status_code == 503
    assert int(second.headers["retry-after"]) > 0
    assert second.json()["error"]["code"] == "busy"
    assert asking.delete(first.headers["location"]).status_code == 204
    told = asking.get(first.headers["location"] + "/events").text
    job = json.loads(told.split("data: ")[-1])
    assert (job["status"], job["error"]["code"]) == ("cancelled", "cancelled")


def test_a_service_that_drains_takes_nothing_new(cold: Service, asking: TestClient) -> None:
    cold.office.draining = True
    assert asking.get("/readyz").status_code == 503
    assert asking.post("/v1/jobs", content=b"video").status_code == 503
    assert asking.post("/v1/predict", content=b"video").status_code == 503
    cold.office.draining = False


@pytest.mark.parametrize("name", ["bytes", "seconds", "pixels", "queue", "deadline", "keep"])
def test_a_limit_is_above_zero(name: str) -> None:
    kind = int if name in ("bytes", "pixels", "queue") else float
    with pytest.raises(UsageError, match=name):
        Limits(**{name: kind(0)})
