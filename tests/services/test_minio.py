"""A whole gateway over a real MinIO: files uploaded to the one start jobs in the other, whatever happens to
either."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.exceptions
import httpx
import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.minio import Minio, free_port, minio

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

INPUT = [{"storage_provider": "minio", "path": "uploads/in"}]
FILES, MANY_FILES = 300, 10_000
UNSETTLED = "queued,waiting,starting,running"
RULE_EVENTS = ["s3:ObjectCreated:*"]


@contextmanager
def running(folder: Path, *, told: bool = True, **settings: str) -> Iterator[tuple[GatewayProcess, Minio]]:
    """A gateway and its store, which tells it of new files, or does not."""
    port = free_port()
    with minio(folder, webhook=f"http://127.0.0.1:{port}/events" if told else "", own=True) as server:
        given = {**server.settings(), "HTTP_PORT": str(port), "JOBS_LIVE_LIMIT": "8", **settings}
        with GatewayProcess(folder / "gateway", given) as gateway:
            yield gateway, server


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[GatewayProcess, Minio]]:
    with running(tmp_path, RECONCILE_S="3600") as both:
        yield both


def deploy(gateway: GatewayProcess, name: str, script: str = "true", **rules: Any) -> None:
    with gateway.http() as http:
        body = {"name": name, "image": "none", "script": script, **rules}
        answer = http.post("/system/services", json=body)
        assert answer.status_code == 201, answer.text


def jobs(gateway: GatewayProcess, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": ""}
    with gateway.http() as http:
        while "next" in page:
            page = http.get("/v1/jobs", params={"limit": 500, "cursor": page["next"], **query}).json()
            found += page["jobs"]
    return found


def keys_done(gateway: GatewayProcess) -> Counter[str]:
    return Counter(job["input"]["key"] for job in jobs(gateway, state="succeeded"))


def test_a_file_is_told_of_and_its_output_is_back_in_the_bucket(told: tuple[GatewayProcess, Minio]) -> None:
    gateway, _ = told
    output = [{"storage_provider": "minio", "path": "uploads/out"}]
    script = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"'
    deploy(gateway, "copy", script, input=INPUT, output=output)
    keys = ["in/plain.txt", "in/a b+c é.txt", "in/sub/%41.txt", "in/日本.txt", "in/q?&=#.txt"]
    s3 = gateway.s3()
    for key in keys:
        s3.put_object(Bucket="uploads", Key=key, Body=key.encode())
    s3.put_object(Bucket="uploads", Key="elsewhere/x", Body=b"x")
    s3.put_object_tagging(Bucket="uploads", Key=keys[0], Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    wait_for(lambda: keys_done(gateway) == Counter(keys), within_s=30)
    listed = s3.list_objects_v2(Bucket="uploads", Prefix="out/")["Contents"]
    assert {each["Key"].rpartition("/")[2] for each in listed} == {key.rpartition("/")[2] for key in keys}
    assert {job["cause"] for job in jobs(gateway)} == {"event"}
    s3.close()


def test_a_large_output_starts_others_and_not_its_own_service(told: tuple[GatewayProcess, Minio]) -> None:
    gateway, _ = told
    script = 'head -c 9000000 /dev/zero > "$TMP_OUTPUT_DIR/large"'
    deploy(gateway, "writer", script, input=INPUT, output=INPUT)
    deploy(gateway, "reader", input=INPUT)
    with closing(gateway.s3()) as s3:
        s3.put_object(Bucket="uploads", Key="in/small", Body=b"x")
        wait_for(lambda: len(jobs(gateway, service="reader", state="succeeded")) == 2, within_s=30)
        assert s3.head_object(Bucket="uploads", Key="in/large")["ETag"].endswith('-2"')
    assert [job["input"]["key"] for job in jobs(gateway, service="writer")] == ["in/small"]


def test_event_and_listing_are_the_same_job(tmp_path: Path) -> None:
    with running(tmp_path, RECONCILE_S="0.5") as (gateway, _):
        deploy(gateway, "same", input=INPUT)
        deploy(gateway, "kept-versions", input=[{"storage_provider": "minio", "path": "versioned/in"}])
        s3 = gateway.s3()
        s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        for number in range(30):
            s3.put_object(Bucket="uploads", Key=f"in/{number} +é", Body=b"same")
            s3.put_object(Bucket="versioned", Key=f"in/{number}", Body=b"same")
        s3.close()
        wait_for(lambda: len(jobs(gateway, state="succeeded")) >= 60, within_s=30)
        time.sleep(5)  # the store tells every 3 s, the listing comes every 0.5 s
        assert len(jobs(gateway)) == 60


def test_a_store_that_tells_of_nothing_is_listed(tmp_path: Path) -> None:
    with running(tmp_path, told=False, RECONCILE_S="0.5") as (gateway, _):
        deploy(gateway, "listed", input=INPUT)
        s3 = gateway.s3()
        s3.put_object(Bucket="uploads", Key="in/x", Body=b"x")
        s3.close()
        wait_for(lambda: keys_done(gateway) == Counter(["in/x"]), within_s=15)
        assert {job["cause"] for job in jobs(gateway)} == {"backfill"}


def test_rules_of_others_stay_and_lost_ones_come_back(tmp_path: Path) -> None:
    with running(tmp_path, RECONCILE_S="0.5") as (gateway, server):
        s3 = gateway.s3()
        s3.create_bucket(Bucket="uploads")
        foreign = {
            "Id": "theirs",
            "QueueArn": server.ARN,
            "Events": RULE_EVENTS,
            "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".theirs"}]}},
        }
        theirs = {"QueueConfigurations": [foreign]}
        s3.put_bucket_notification_configuration(Bucket="uploads", NotificationConfiguration=theirs)

        def prefixes() -> list[str]:
            told = s3.get_bucket_notification_configuration(Bucket="uploads")
            rules = {rule["Id"]: rule for rule in told["QueueConfigurations"]}
            assert rules.pop("theirs")["Events"] == RULE_EVENTS
            found = [one["Value"] for rule in rules.values() for one in rule["Filter"]["Key"]["FilterRules"]]
            return sorted(found)

        deploy(gateway, "one", input=INPUT)
        deploy(gateway, "two", input=[{"storage_provider": "minio", "path": "uploads/w*ld?/x"}])
        deploy(gateway, "below", input=[{"storage_provider": "minio", "path": "uploads/in/sub"}])
        assert prefixes() == ["in/", "w*ld?/x/"]
        s3.put_bucket_notification_configuration(Bucket="uploads", NotificationConfiguration=theirs)
        wait_for(lambda: prefixes() == ["in/", "w*ld?/x/"])
        s3.put_object(Bucket="uploads", Key="wild!/x/over-matched", Body=b"x")
        s3.put_object(Bucket="uploads", Key="w*ld?/x/matched", Body=b"x")
        wait_for(lambda: keys_done(gateway) == Counter(["w*ld?/x/matched"]))
        with gateway.http() as http:
            for name in ("one", "below", "two"):
                assert http.delete(f"/system/services/{name}").status_code == 204
        assert prefixes() == []
        s3.close()


def test_every_event_told_five_times_in_any_order_is_one_job_a_file(tmp_path: Path) -> None:
    with recorder() as (url, bodies), minio(tmp_path, webhook=url, own=True) as server:
        given = {**server.settings(), "RECONCILE_S": "3600"}
        with GatewayProcess(tmp_path / "gateway", given) as gateway:
            deploy(gateway, "once", input=INPUT)
            s3 = gateway.s3()
            for number in range(50):
                s3.put_object(Bucket="uploads", Key=f"in/{number} ñ", Body=b"x")
            s3.close()
            wait_for(lambda: len(bodies) >= 50, within_s=30)
            told = bodies * 5
            random.shuffle(told)
            bearer = {"Authorization": f"Bearer {server.token}"}
            with httpx.Client(base_url=gateway.endpoints["url"], headers=bearer) as http:
                for body in told:
                    assert http.post("/events", content=body).status_code == 200
            wait_for(lambda: len(keys_done(gateway)) == 50, within_s=60)
            assert set(keys_done(gateway).values()) == {1}


def test_the_per_service_form_of_a_real_event_is_the_same_job(tmp_path: Path) -> None:
    with recorder() as (url, bodies), minio(tmp_path, webhook=url, own=True) as server:
        given = {**server.settings(), "RECONCILE_S": "3600"}
        with GatewayProcess(tmp_path / "gateway", given) as gateway:
            deploy(gateway, "own-form", input=INPUT)
            s3 = gateway.s3()
            s3.put_object(Bucket="uploads", Key="in/a b+ñ", Body=b"x")
            s3.close()
            wait_for(lambda: bodies, within_s=30)
            with gateway.http() as http:
                service = http.get("/system/services/own-form").json()
            with httpx.Client(base_url=gateway.endpoints["url"]) as http:
                for path, token in (("/job/own-form", service["token"]), ("/events", server.token)):
                    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
                    assert http.head("/job/own-form").status_code == 401
                    assert http.post(path, content=bodies[0], headers=sent).is_success
            wait_for(lambda: keys_done(gateway) == Counter(["in/a b+ñ"]))
            assert len(jobs(gateway)) == 1


@pytest.mark.timeout(600)
def test_files_uploaded_while_the_store_is_killed_are_each_processed_once(
    told: tuple[GatewayProcess, Minio],
) -> None:
    gateway, server = told
    deploy(gateway, "survivor", input=INPUT)
    up_at = upload_through_kills(gateway, server, files=FILES)
    wait_for(lambda: len(jobs(gateway)) >= FILES, within_s=60 - (time.monotonic() - up_at))
    wait_for(lambda: len(keys_done(gateway)) == FILES, within_s=400, every_s=1)
    assert len(jobs(gateway)) == FILES
    assert not jobs(gateway, state=UNSETTLED)


@pytest.mark.kill
@pytest.mark.timeout(1800)
def test_the_ledger_equals_the_listing_a_minute_after_many_files_and_kills(
    told: tuple[GatewayProcess, Minio],
) -> None:
    gateway, server = told
    deploy(gateway, "many", "sleep 3600", input=INPUT)
    up_at = upload_through_kills(gateway, server, files=MANY_FILES)
    wait_for(lambda: len(jobs(gateway)) >= MANY_FILES, within_s=60 - (time.monotonic() - up_at), every_s=1)
    found = Counter(job["input"]["key"] for job in jobs(gateway))
    assert found == Counter(f"in/{number}" for number in range(MANY_FILES))
    with gateway.http(timeout=300) as http:
        assert http.delete("/system/services/many").status_code == 204


def upload_through_kills(gateway: GatewayProcess, server: Minio, *, files: int) -> float:
    """Each file until the store has it, the store killed and started three times meanwhile; when it was up
    again with all of them, by the monotonic clock."""
    stopped = threading.Event()
    with ThreadPoolExecutor(8) as threads:
        uploading = [threads.submit(upload, gateway, f"in/{number}", stopped) for number in range(files)]
        try:
            for quarter in range(1, 4):
                wait_for(
                    lambda: sum(one.done() for one in uploading) >= files * quarter // 4,  # noqa: B023
                    within_s=300,
                )
                server.kill()
                time.sleep(0.5)
                server.start()
            for one in uploading:
                one.result(timeout=300)
        finally:
            stopped.set()
    return time.monotonic()


def upload(gateway: GatewayProcess, key: str, stopped: threading.Event) -> None:
    """A client that got no answer looks, and puts again what is not there."""
    with closing(gateway.s3()) as s3:
        while not stopped.is_set():
            try:
                s3.put_object(Bucket="uploads", Key=key, Body=b"x")
            except botocore.exceptions.BotoCoreError:
                if is_there(s3, key, stopped):
                    return
            except botocore.exceptions.ClientError:
                time.sleep(0.05)
            else:
                return


def is_there(s3: Any, key: str, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            s3.head_object(Bucket="uploads", Key=key)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return False
        except botocore.exceptions.BotoCoreError:
            time.sleep(0.05)
        else:
            return True
    return False


def test_a_store_that_is_away_or_refuses_is_told_of_and_works_once_mended(tmp_path: Path) -> None:
    with minio(tmp_path, own=True) as server:
        settings = server.settings()
        wrong_key = settings | {"S3_ACCESS_KEY": "nobody"}
        wrong_secret = settings | {"S3_SECRET_KEY": "wrong-and-secret"}
        assert "S3_ACCESS_KEY" in why_not_ready(tmp_path / "wrong-key", wrong_key)
        assert "S3_SECRET_KEY" in why_not_ready(tmp_path / "wrong-secret", wrong_secret)
        server.kill()
        gateway = GatewayProcess(tmp_path / "away", settings)
        gateway.launch()
        try:
            with gateway.http() as http:
                answer = http.get("/ready")
                assert "does not answer" in answer.json()["not_ready"]["objects"]
                assert server.url.removeprefix("http://") not in answer.text
                server.start()
                wait_for(lambda: http.get("/ready").status_code == 200)
                deploy(gateway, "mended", input=INPUT)
        finally:
            assert gateway.stop() == 0


def why_not_ready(folder: Path, settings: dict[str, str]) -> str:
    gateway = GatewayProcess(folder, settings)
    gateway.launch()
    try:
        with gateway.http() as http:
            answer = http.get("/ready")
            assert answer.status_code == 503
            assert settings["S3_SECRET_KEY"] not in answer.text + gateway.log().partition("secret_key")[0]
            return str(answer.json()["not_ready"]["objects"])
    finally:
        assert gateway.stop() == 0


@contextmanager
def recorder() -> Iterator[tuple[str, list[bytes]]]:
    """A webhook that only writes down: its URL, and the bodies it got."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/told", bodies
        server.shutdown()
        thread.join()
