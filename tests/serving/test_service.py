import json
import os
import re
import signal
import time
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from services import film, over, ready, with_sound
from starlette.testclient import TestClient

from marey.predictor import Predictor
from marey.serving._jobs import Job, Jobs

SCHEMA = json.loads((files("marey") / "prediction.schema.json").read_text())


def test_an_answer_is_that_of_the_command_line(
    client: TestClient, clip: Path, checkpoint: Path
) -> None:
    answer = client.post("/v1/predict", files={"video": ("a.mp4", clip.read_bytes())})
    assert answer.status_code == 200
    document = answer.json()
    jsonschema.validate(document, SCHEMA)
    expected = Predictor(checkpoint)(clip).as_json(top=5)
    assert document == expected | {"video": "a.mp4", "model": "small"}


def test_a_raw_body_is_a_video_with_the_name_of_the_query(client: TestClient, clip: Path) -> None:
    answer = client.post("/v1/predict", params={"name": "b/../c.mp4"}, content=clip.read_bytes())
    assert answer.json()["video"] == "c.mp4"


def test_what_is_no_video_is_422_without_a_path_of_the_server(client: TestClient) -> None:
    answer = client.post("/v1/predict?name=notes.txt", content=b"no video" * 100)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "video"
    assert error["message"].startswith("notes.txt is not a video")


def test_videos_beyond_the_limits_are_422(client: TestClient, tmp_path: Path) -> None:
    large = film(tmp_path / "large.mp4", frames=2, height=480, width=648)
    answer = client.post("/v1/predict", content=large.read_bytes())
    assert answer.status_code == 422
    assert "648 x 480" in answer.json()["error"]["message"]
    long = film(tmp_path / "long.mp4", frames=25 * 21, height=16, width=16)
    answer = client.post("/v1/predict", content=long.read_bytes())
    assert answer.status_code == 422
    assert "at most 20" in answer.json()["error"]["message"]


def test_a_job_is_accepted_followed_and_handed_out(client: TestClient, clip: Path) -> None:
    begun = client.post(
        "/v1/jobs?annotate=1&maps=1", files={"video": ("<img onerror=x>.mp4", clip.read_bytes())}
    )
    assert begun.status_code == 202
    job = begun.json()
    assert begun.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["progress"], job["files"]) == ("queued", 0.0, [])
    told = [
        json.loads(line.removeprefix("data: "))
        for line in client.get(f"/v1/jobs/{job['id']}/events").text.splitlines()
        if line.startswith("data: ")
    ]
    assert told[-1]["status"] == "done"
    shares = [document["progress"] for document in told]
    assert shares == sorted(shares)
    done = client.get(f"/v1/jobs/{job['id']}").json()
    assert done == told[-1]
    jsonschema.validate(done["result"], SCHEMA)
    assert done["result"]["video"] == "<img onerror=x>.mp4"
    assert done["files"] == ["video", "annotated", "maps", "json", "csv", "srt", "vtt"]
    assert done["missing"] == {}
    for name in done["files"]:
        file = client.get(f"/v1/jobs/{job['id']}/{name}")
        assert file.status_code == 200
        assert file.content
        assert "<" not in file.headers["content-disposition"]
    assert client.get(f"/v1/jobs/{job['id']}/json").json() == done["result"]
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 404


def test_a_job_begins_without_the_progress_of_the_one_before(
    client: TestClient, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(client, client.post("/v1/jobs", content=clip.read_bytes()).json()["id"])
    begin = Jobs.begin

    def slowly(jobs: Jobs) -> Job | None:
        job = begin(jobs)
        if job is not None:
            time.sleep(0.5)
        return job

    monkeypatch.setattr(Jobs, "begin", slowly)
    job_id = client.post("/v1/jobs", content=clip.read_bytes()).json()["id"]
    seen = {"queued"}
    while seen == {"queued"}:
        job = client.get(f"/v1/jobs/{job_id}").json()
        seen.add(job["status"])
    assert (job["status"], job["progress"]) == ("running", 0.0)
    over(client, job_id)


def test_one_range_of_a_video_is_served_and_not_many(client: TestClient, clip: Path) -> None:
    job_id = client.post("/v1/jobs", content=clip.read_bytes()).json()["id"]
    over(client, job_id)
    part = client.get(f"/v1/jobs/{job_id}/video", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(10_000))
    begun = time.process_time()
    assert client.get(f"/v1/jobs/{job_id}/video", headers={"range": many}).status_code == 416
    assert time.process_time() - begun < 1
    client.delete(f"/v1/jobs/{job_id}")


def test_what_browsers_do_not_play_is_made_into_what_they_do(client: TestClient) -> None:
    clip = files("marey") / "clips" / "golf.avi"
    job_id = client.post("/v1/jobs?name=golf.avi", content=clip.read_bytes()).json()["id"]
    assert over(client, job_id)["status"] == "done"
    video = client.get(f"/v1/jobs/{job_id}/video")
    assert video.headers["content-type"] == "video/mp4"
    assert 'filename="golf.mp4"' in video.headers["content-disposition"]
    assert video.content[4:8] == b"ftyp"
    client.delete(f"/v1/jobs/{job_id}")


def test_a_film_that_cannot_be_made_is_missing_with_its_reason(
    client: TestClient, tmp_path: Path
) -> None:
    path = with_sound(tmp_path / "loud.avi", "pcm_mulaw")
    begun = client.post("/v1/jobs?name=loud.avi&annotate=1", content=path.read_bytes()).json()
    job = over(client, begun["id"])
    assert job["status"] == "done"
    assert job["files"] == ["json", "csv", "srt", "vtt"]
    assert set(job["missing"]) == {"video", "annotated"}
    assert job["missing"]["video"].startswith("loud.avi has sound in pcm_mulaw")
    client.delete(f"/v1/jobs/{job['id']}")


def test_a_job_of_what_is_no_video_fails_and_says_why(client: TestClient) -> None:
    job_id = client.post("/v1/jobs?name=a.txt", content=b"nothing").json()["id"]
    job = over(client, job_id)
    assert (job["status"], job["error"]["code"], job["files"]) == ("failed", "video", [])
    assert "a.txt" in job["error"]["message"]
    client.delete(f"/v1/jobs/{job_id}")


def test_a_job_can_be_cancelled(client: TestClient, tmp_path: Path) -> None:
    long = film(tmp_path / "long.mp4", frames=400).read_bytes()
    first, second = (client.post("/v1/jobs", content=long).json()["id"] for _ in range(2))
    for job_id in (second, first):
        assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
        assert over(client, job_id)["status"] in ("cancelled", "done")
        client.delete(f"/v1/jobs/{job_id}")


def test_a_worker_that_is_killed_is_started_again(client: TestClient, clip: Path) -> None:
    office = client.app._app.router.lifespan_context.__self__.office  # type: ignore[attr-defined]
    (process,) = office.pids()
    os.kill(process, signal.SIGKILL)
    first = client.post("/v1/predict", content=clip.read_bytes())
    assert first.status_code in (200, 503)
    if first.status_code == 503:
        assert first.headers["retry-after"]
    assert client.post("/v1/predict", content=clip.read_bytes()).status_code == 200
    assert office.pids() != [process]


def test_the_model_tells_its_classes_and_the_limits(client: TestClient) -> None:
    told = client.get("/v1/model").json()
    assert (told["name"], told["classes"]) == ("small", ["a", "b", "c"])
    limits = {"bytes": 1 << 20, "seconds": 20, "pixels": 640 * 480, "queue": 32}
    assert told["limits"] == limits


def test_the_service_says_that_it_lives_and_what_it_did(client: TestClient) -> None:
    assert client.get("/livez").status_code == 200
    assert ready(client).get("/readyz").json() == {"status": "ok"}
    client.get("/no/such/path")
    text = client.get("/metrics").text
    assert 'marey_requests_total{method="GET",route="/livez",status="200"}' in text
    assert 'route="other",status="404"' in text
    assert 'marey_jobs{status="queued"} 0.0' in text


def test_requests_have_a_number_in_the_answer_and_in_the_log(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    number = client.get("/livez").headers["x-request-id"]
    assert re.search(rf"{number} GET /livez 200 \d+ ms", capsys.readouterr().err)


def test_the_service_is_described_without_anything_from_outside(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "POST /v1/predict" in page
    assert not re.search(r"https?://", page)
    assert "<script" not in page
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    known = set(document["components"]["schemas"])
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert used <= known
