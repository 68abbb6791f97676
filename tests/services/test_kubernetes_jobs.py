"""Jobs as Kubernetes Jobs, on a cluster that runs their pods: a whole gateway outside of it, everything that
can happen to a script inside."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.cluster import ClusterNamespace, cluster_namespace

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

WITHIN_S = 120.0
"""For anything a busy cluster does."""
LOG_LIMIT = 1 << 20
DISK_LIMIT = 256 << 20
FINAL = ("succeeded", "failed", "dead", "cancelled")


class Rig:
    """A gateway with its worker in one process, on an address that pods reach."""

    def __init__(self, cluster: ClusterNamespace, folder: Path) -> None:
        self.cluster = cluster
        settings = {
            "HTTP_HOST": cluster.pod_host,
            "S3_HOST": cluster.pod_host,
            "LAUNCHER_URL": "kubernetes:",
            "KUBECONFIG": cluster.kubeconfig,
            "KUBERNETES_NAMESPACE": cluster.namespace,
            "POD_IMAGE": cluster.pod_image,
            "POD_IMAGE_PULL_POLICY": "Never",
            "IMAGE_PULL_POLICY": "Never",
            "IMAGE_PULL_LIMIT_S": "3",
            "LOG_LIMIT": str(LOG_LIMIT),
            "POD_DISK_LIMIT": str(DISK_LIMIT),
            "HTTP_PORT": str(_free_port(cluster.pod_host)),
            "S3_PORT": str(_free_port(cluster.pod_host)),
        }
        settings["INTERNAL_URL"] = f"http://{cluster.pod_host}:{settings['HTTP_PORT']}"
        self.process = GatewayProcess(folder, settings)

    def deploy(self, name: str, script: str, **more: Any) -> None:
        definition = {"name": name, "image": self.cluster.script_image, "cpu": "0.1", "memory": "64Mi"}
        with self.process.http() as http:
            answer = http.post("/system/services", json={**definition, "script": script, **more})
            assert answer.status_code == 201, answer.text

    def submit(self, service: str, body: bytes = b"") -> str:
        with self.process.http() as http:
            answer = http.post(f"/job/{service}", content=body)
            assert answer.status_code == 201, answer.text
            job: str = answer.headers["X-OSCAR-Job-ID"]
            return job

    def job(self, job: str) -> dict[str, Any]:
        with self.process.http() as http:
            shown: dict[str, Any] = http.get(f"/v1/jobs/{job}").json()
            return shown

    def ended(self, job: str, *, within_s: float = WITHIN_S) -> dict[str, Any]:
        wait_for(lambda: self.job(job)["state"] in FINAL, within_s=within_s, every_s=0.3)
        return self.job(job)

    def text(self, job: str, what: str) -> str:
        with self.process.http() as http:
            answer = http.get(f"/v1/jobs/{job}/{what}")
            return answer.text if answer.status_code == 200 else ""

    def run(self, name: str, script: str, body: bytes = b"", **more: Any) -> dict[str, Any]:
        self.deploy(name, script, **more)
        return self.ended(self.submit(name, body))

    def content(self, bucket: str) -> dict[str, bytes]:
        s3 = self.process.s3()
        try:
            found = s3.list_objects_v2(Bucket=bucket).get("Contents", ())
            return {one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found}
        finally:
            s3.close()

    def put(self, bucket: str, key: str, body: bytes) -> None:
        s3 = self.process.s3()
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        s3.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterNamespace]:
    with cluster_namespace() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def rig(cluster: ClusterNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(cluster, tmp_path_factory.mktemp("gateway"))
    with rig.process:
        yield rig


def output(path: str) -> list[dict[str, str]]:
    return [{"storage_provider": "minio", "path": path}]


def test_a_job_runs_in_the_services_image_and_its_outputs_are_stored(rig: Rig) -> None:
    script = r"""
        cat "$INPUT_FILE_PATH"; echo " for $JOB_UUID"; echo told >&2
        cd "$TMP_OUTPUT_DIR"; echo 1 > "a b.txt"; echo 2 > "$(printf 'new\nline')"; echo 3 > ñ.txt
        umask 077; mkdir deep; echo 4 > deep/private
    """
    job = rig.run("success", script, b'{"a": 1}', output=output("success/out"))
    assert (job["state"], job["exit_code"]) == ("succeeded", 0), job
    assert sorted(rig.text(job["id"], "log").splitlines()) == sorted([f'{{"a": 1}} for {job["id"]}', "told"])
    assert rig.content("success") == {
        "out/a b.txt": b"1\n",
        "out/new\nline": b"2\n",
        "out/ñ.txt": b"3\n",
        "out/deep/private": b"4\n",
    }


def test_without_output_files_the_result_is_the_standard_output_alone(rig: Rig) -> None:
    job = rig.run("text", 'echo out; echo err >&2; printf "no newline"')
    assert rig.text(job["id"], "result") == "out\nno newline"


def test_a_script_that_fails_has_failed_with_its_status_log_and_outputs(rig: Rig) -> None:
    script = 'echo said; echo half > "$TMP_OUTPUT_DIR/half"; exit 23'
    job = rig.run("failing", script, output=output("failing/out"))
    assert (job["state"], job["exit_code"]) == ("failed", 23)
    assert rig.text(job["id"], "log") == "said\n"
    assert rig.content("failing") == {"out/half": b"half\n"}


def test_a_child_killed_for_memory_is_told_as_such(rig: Rig) -> None:
    job = rig.run("hungry", "echo eating; tail /dev/zero; echo survived; exit 5")
    assert job["state"] == "failed"
    assert job["attempts"][-1]["reason"] == "memory-limit"
    assert rig.text(job["id"], "log").startswith("eating\n")


def test_past_its_limit_everything_ends_and_log_and_outputs_stay(rig: Rig) -> None:
    script = 'echo begun; echo half > "$TMP_OUTPUT_DIR/half"; (setsid sleep 900 &); trap "" TERM; sleep 900'
    limit = {"oscar-gateway/job-seconds": "2"}
    job = rig.run("endless", script, annotations=limit, output=output("endless/out"))
    assert job["attempts"][-1]["reason"] == "time-limit"
    assert rig.text(job["id"], "log") == "begun\n"
    assert rig.content("endless") == {"out/half": b"half\n"}


def test_a_script_that_fills_its_disk_is_told_as_such(rig: Rig) -> None:
    script = 'echo begun; head -c 400000000 /dev/zero > "$TMP_OUTPUT_DIR/much"; sleep 900'
    job = rig.run("greedy", script, cpu="0.5", memory="600Mi")
    assert job["state"] == "failed"
    assert job["attempts"][-1]["reason"] == "output-limit"


def test_a_script_that_forks_without_end_ends_and_its_neighbours_go_on(rig: Rig) -> None:
    rig.deploy("forking", "while :; do sleep 900 & done", annotations={"oscar-gateway/job-seconds": "20"})
    rig.deploy("calm", "echo calm")
    forking, calm = rig.submit("forking"), rig.submit("calm")
    assert rig.ended(calm)["state"] == "succeeded"
    ended = rig.ended(forking)
    assert ended["state"] == "failed"
    assert ended["attempts"][-1]["reason"] in ("memory-limit", "time-limit", "exited")


def test_an_image_that_cannot_be_had_is_named(rig: Rig) -> None:
    job = rig.run(
        "imageless", "true", image="dev.local/nowhere:1", annotations={"oscar-gateway/interruptions": "0"}
    )
    assert (job["state"], job["attempts"][-1]["reason"]) == ("dead", "not-started")
    assert "dev.local/nowhere:1" in job["reason"]


def test_no_credential_of_ours_is_in_the_scripts_container_and_its_secrets_are(rig: Rig) -> None:
    script = (
        '[ "$KEY" = "s3cret \'quoted\' \\$(X)" ] || exit 9; '
        "env | grep -i -e claim -e secret_key -e gateway; ls /var/run/secrets /own 2>/dev/null; "
        'grep CapEff /proc/self/status; echo "$RESOURCE_ID|$PLAIN"'
    )
    environment = {"variables": {"PLAIN": "$(HOME) 'x'\n2"}, "secrets": {"KEY": "s3cret 'quoted' $(X)"}}
    job = rig.run("secretive", script, environment=environment)
    assert job["state"] == "succeeded", (job, rig.text(job["id"], "log"))
    said = rig.text(job["id"], "log")
    node = rig.cluster.kubectl("get", "nodes", "-o", "name").strip().partition("/")[2]
    assert said == f"CapEff:\t0000000000000000\n{node}|$(HOME) 'x'\n2\n"


def test_a_quota_that_is_used_up_is_waited_out_at_nobodys_cost(rig: Rig) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    rig.cluster.kubectl("apply", "-f", "-", given=quota)
    try:
        rig.deploy("poor", "echo at last")
        job = rig.submit("poor")
        wait_for(lambda: "exceeded quota" in rig.job(job)["reason"], within_s=WITHIN_S)
        assert rig.job(job)["state"] == "waiting"
    finally:
        rig.cluster.kubectl("delete", "resourcequota", "none")
    ended = rig.ended(job)
    assert ended["state"] == "succeeded"
    assert {attempt["reason"] for attempt in ended["attempts"][:-1]} == {"refused"}


def test_a_running_job_is_cancelled_with_its_log_kept_and_nothing_delivered(rig: Rig) -> None:
    script = 'echo begun; echo half > "$TMP_OUTPUT_DIR/half"; sleep 900'
    rig.deploy("cancelled", script, output=output("cancelled/out"))
    job = rig.submit("cancelled")
    wait_for(lambda: "begun" in rig.text(job, "log"), within_s=WITHIN_S)
    with rig.process.http() as http:
        http.delete(f"/v1/jobs/{job}")
    assert rig.ended(job)["state"] == "cancelled"
    assert rig.text(job, "log") == "begun\n"
    assert rig.content("cancelled") == {}


def test_a_job_whose_pod_finds_no_node_says_why_and_is_cancelled_at_once(rig: Rig) -> None:
    rig.deploy("placeless", "true", cpu="900")
    job = rig.submit("placeless")
    wait_for(lambda: "no node takes its pod" in rig.job(job)["reason"], within_s=WITHIN_S)
    assert "Insufficient cpu" in rig.job(job)["reason"]
    with rig.process.http() as http:
        http.delete(f"/v1/jobs/{job}")
    assert rig.ended(job)["state"] == "cancelled"


def test_thousands_of_outputs_are_stored_and_listed(rig: Rig) -> None:
    script = 'cd "$TMP_OUTPUT_DIR"; i=0; while [ $i -lt 10000 ]; do echo $i > "file $i"; i=$((i+1)); done'
    rig.deploy("prolific", script, output=output("prolific/out"), cpu="0.5")
    job = rig.ended(rig.submit("prolific"), within_s=2 * WITHIN_S)
    assert (job["state"], len(job["outputs"])) == ("succeeded", 10_000)


def test_a_large_output_is_stored_whole_in_parts(rig: Rig) -> None:
    script = "dd if=/dev/urandom of=$TMP_OUTPUT_DIR/large bs=1M count=40; cksum < $TMP_OUTPUT_DIR/large"
    rig.deploy("large", script, output=output("large/out"))
    job = rig.ended(rig.submit("large"), within_s=2 * WITHIN_S)
    assert job["state"] == "succeeded"
    content = rig.content("large")["out/large"]
    assert len(content) == 40 << 20
    told = subprocess.run(["cksum"], input=content, capture_output=True, check=True, timeout=30)
    assert told.stdout.decode().strip() in rig.text(job["id"], "log")
    s3 = rig.process.s3()
    assert s3.head_object(Bucket="large", Key="out/large")["ETag"].endswith('-5"')
    s3.close()


def test_a_gibibyte_of_standard_output_is_cut_and_the_job_succeeds(rig: Rig) -> None:
    script = "line=$(head -c 4000 /dev/zero | tr '\\0' x); yes \"$line\" | head -c 1073741824; exit 0"
    rig.deploy("loud", script, cpu="0.9")
    job = rig.ended(rig.submit("loud"), within_s=2 * WITHIN_S)
    assert job["state"] == "succeeded"
    assert len(rig.text(job["id"], "result")) == LOG_LIMIT
    log = rig.text(job["id"], "log")
    assert len(log) <= LOG_LIMIT
    assert log.endswith("(LOG_LIMIT)]\n")


def test_a_file_in_a_bucket_is_the_input_and_its_output_triggers_nothing(rig: Rig) -> None:
    script = 'tr a-z A-Z < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/${INPUT_FILE_PATH##*/}"'
    rig.deploy("chained", script, input=output("chained/in"), output=output("chained/in"))
    rig.put("chained", "in/a name.txt", b"shout")
    wait_for(lambda: rig.content("chained") == {"in/a name.txt": b"SHOUT"}, within_s=WITHIN_S)
    with rig.process.http() as http:
        jobs = http.get("/v1/jobs", params={"service": "chained"}).json()["jobs"]
    assert rig.ended(jobs[0]["id"])["state"] == "succeeded"
    assert len(jobs) == 1


def test_an_output_bucket_that_vanished_is_named(rig: Rig) -> None:
    rig.deploy(
        "bucketless",
        'echo 1 > "$TMP_OUTPUT_DIR/a"; echo begun; sleep 4',
        output=output("vanishing/out"),
        annotations={"oscar-gateway/interruptions": "0"},
    )
    job = rig.submit("bucketless")
    wait_for(lambda: "begun" in rig.text(job, "log"), within_s=WITHIN_S)
    s3 = rig.process.s3()
    s3.delete_bucket(Bucket="vanishing")
    s3.close()
    ended = rig.ended(job)
    assert (ended["state"], ended["attempts"][-1]["reason"]) == ("dead", "staging")
    assert "vanishing" in ended["reason"]


def test_a_worker_killed_in_between_neither_loses_nor_repeats_a_job(rig: Rig) -> None:
    rig.deploy("steady", 'echo begun; sleep 8; echo 1 > "$TMP_OUTPUT_DIR/a"', output=output("steady/out"))
    job = rig.submit("steady")
    wait_for(lambda: "begun" in rig.text(job, "log"), within_s=WITHIN_S)
    rig.process.kill()
    rig.process.start()
    ended = rig.ended(job)
    assert (ended["state"], len(ended["attempts"])) == ("succeeded", 1)
    assert rig.content("steady") == {"out/a": b"1\n"}


def test_a_service_deleted_while_its_job_runs_takes_it_along(rig: Rig) -> None:
    rig.deploy("deleted", "echo begun; sleep 900")
    job = rig.submit("deleted")
    wait_for(lambda: "begun" in rig.text(job, "log"), within_s=WITHIN_S)
    with rig.process.http() as http:
        assert http.delete("/system/services/deleted").status_code == 204
    wait_for(lambda: not _pods(rig, job), within_s=WITHIN_S)


def test_nothing_is_left_in_the_cluster_of_what_ended(rig: Rig) -> None:
    wait_for(lambda: rig.cluster.found("jobs", "pods") == [], within_s=WITHIN_S)


def _pods(rig: Rig, job: str) -> list[dict[str, Any]]:
    return [pod for pod in rig.cluster.found("pods") if pod["metadata"]["name"].startswith(job)]


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
