"""The table of all routes. OSCAR's keep its paths, methods and statuses; our own stand under `/v1`, or
where they collide with none."""

import sys
from operator import attrgetter

from gateway.api import (
    attempts,
    buckets,
    calls,
    deployments,
    events,
    health,
    info,
    job_logs,
    job_results,
    jobs,
    logs,
    metrics,
    openapi,
    services,
    status,
    system_logs,
)
from gateway.api.guard import Access
from gateway.api.operations import Operation

FDL = "The service: one JSON object, or an FDL file as YAML; any Content-Type"
BUCKET = "`bucket_name`, `visibility` (private, restricted, public), `allowed_users`"
EMPTY = "Empty"
REPORT_LIMIT = 32 << 20
"""With 10,000 outputs of the longest names in it, bytes."""
COMPLETION_LIMIT = 2 << 20
"""With the eTags of 10,000 parts in it, bytes."""

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET", "/health", health.health, "Whether the process lives", Access.PUBLIC, {200: "The text `Ok`"}
    ),
    Operation(
        "GET",
        "/ready",
        health.ready,
        "Whether every part can do its work; 503 names those that cannot",
        Access.PUBLIC,
    ),
    Operation("GET", "/openapi.json", openapi.describe, "This description", Access.PUBLIC),
    Operation(
        "GET", "/metrics", metrics.metrics, "Measures for Prometheus", answers={200: "Prometheus's text form"}
    ),
    Operation("GET", "/system/info", info.info, "What this is"),
    Operation(
        "GET", "/system/config", info.read_config, "The configuration, and how to reach the object store"
    ),
    Operation(
        "PUT",
        "/system/config",
        info.write_config,
        "Replace the list of repositories that images may come from",
        takes="`allowed_image_repositories`: prefixes of image names; an empty list allows all",
        answers={200: "The list"},
    ),
    Operation("GET", "/system/status", status.status, "This machine, and how much work there is"),
    Operation(
        "GET",
        "/system/services",
        services.list_all,
        "Every service the caller may see",
        query={"include": "`deployment` adds each one's state"},
    ),
    Operation(
        "POST", "/system/services", services.create, "Deploy a service", takes=FDL, answers={201: EMPTY}
    ),
    Operation(
        "PUT",
        "/system/services",
        services.update,
        "Replace a service's definition",
        takes=FDL,
        answers={204: EMPTY},
    ),
    Operation(
        "GET",
        "/system/services/{service}",
        services.read,
        "A service's definition, its token included",
        query={"include": "`deployment` adds its state"},
    ),
    Operation(
        "DELETE",
        "/system/services/{service}",
        services.remove,
        "Remove a service, its jobs, and the buckets made for it",
        answers={204: EMPTY},
    ),
    Operation(
        "GET",
        "/system/services/{service}/deployment",
        deployments.status,
        "Whether a service can answer calls",
    ),
    Operation(
        "GET",
        "/system/services/{service}/deployment/logs",
        deployments.log,
        "What a service's calls wrote to stderr",
        query={
            "tailLines": "How many lines, 1 to 1000; 200 by default",
            "timestamps": "`true` adds each line's time",
        },
    ),
    Operation("GET", "/system/buckets", buckets.list_all, "Every bucket the caller may see"),
    Operation(
        "POST", "/system/buckets", buckets.create, "Create a bucket", takes=BUCKET, answers={201: EMPTY}
    ),
    Operation(
        "PUT",
        "/system/buckets",
        buckets.update,
        "Change who may see a bucket",
        takes=BUCKET,
        answers={204: EMPTY},
    ),
    Operation(
        "GET",
        "/system/buckets/{bucket}",
        buckets.read,
        "A bucket and a page of its objects",
        query={
            "page": "`next_page` of the page before",
            "limit": "Objects a page, 1 to 1000",
            "prefix": "Only objects whose key begins so",
        },
    ),
    Operation(
        "PUT",
        "/system/buckets/{bucket}",
        buckets.update,
        "Change who may see a bucket",
        takes=BUCKET,
        answers={204: EMPTY},
    ),
    Operation(
        "DELETE",
        "/system/buckets/{bucket}",
        buckets.remove,
        "Remove a bucket with everything in it",
        answers={204: EMPTY},
    ),
    Operation(
        "POST",
        "/system/buckets/{bucket}/presign",
        buckets.presign,
        "A link that uploads or downloads one object without another credential",
        takes="`object_key`, `operation` (upload, download), `expires_in`, `content_type`, `extra_headers`",
    ),
    Operation(
        "GET",
        "/system/logs",
        system_logs.read,
        "The newest calls and jobs that were answered",
        query={
            "previous": "`true`: of the file before the present one",
            "timestamps": "`true`: times in front of raw lines",
        },
    ),
    Operation(
        "GET",
        "/system/logs/{service}",
        logs.list_jobs,
        "A page of a service's jobs, newest first",
        query={
            "page": "`next_page` of the page before",
            "status": "Only jobs in these states, separated by commas",
        },
    ),
    Operation(
        "DELETE",
        "/system/logs/{service}",
        logs.delete_jobs,
        "Delete a service's jobs that succeeded, with their logs and results",
        answers={204: EMPTY},
        query={"all": "`true`: all jobs; those that run are cancelled"},
    ),
    Operation(
        "GET",
        "/system/logs/{service}/{job}",
        logs.read,
        "A job's log",
        answers={200: "Text"},
        query={"timestamps": "`true`: each line with its time in front"},
    ),
    Operation(
        "DELETE",
        "/system/logs/{service}/{job}",
        logs.delete,
        "Delete a job, its log and its result; one that runs is cancelled",
        answers={204: EMPTY},
    ),
    Operation(
        "POST",
        "/run/{service}",
        None,
        "Call a service and wait for its answer",
        Access.SERVICE,
        {
            200: "Base64 of the output file, or of a zip of several; without any, what the script printed",
            202: "It became a job that has not ended: `Location` tells where it stands",
        },
        headers={
            "Accept": "`application/octet-stream`: output bytes as they are, without Base64",
            "Prefer": "`respond-async`: as a job; `wait=N`: the answer, or 202, within N seconds",
            "Idempotency-Key": "Of a call that becomes a job: the same key is the same job",
        },
        takes="What the script works on: JSON as it is, Base64 decoded, anything else as it is",
    ),
    Operation(
        "POST",
        "/job/{service}",
        None,
        "Submit a job",
        Access.SERVICE,
        {201: "Empty; `Location` and `X-OSCAR-Job-ID` name the job, or the jobs of a notification"},
        headers={"Idempotency-Key": "The same key with the same body is the same job"},
        takes="As for `/run`, or a notification of an object store: then one job for each object",
    ),
    Operation(
        "HEAD",
        "/job/{service}",
        None,
        "Whether jobs may be submitted with this credential",
        Access.SERVICE,
        {200: EMPTY},
    ),
    Operation(
        "POST",
        "/events",
        events.accept,
        "A store's notification, for whichever services take its objects",
        Access.EVENTS,
        {200: "Ids of the jobs"},
        takes="The notification as MinIO, AWS and others send it",
        # A refusal would have the store send it for ever, in front of everything behind it.
        most=lambda _settings: sys.maxsize,
    ),
    Operation(
        "GET",
        "/v1/jobs",
        jobs.list_jobs,
        "Jobs, newest first",
        query={
            "service": "Only of this service",
            "state": "Only in these states; repeated, or separated by commas",
            "cause": "Only of this cause: request, event, backfill, held",
            "created_from": "Accepted at this time or later, RFC 3339",
            "created_to": "Accepted before this time, RFC 3339",
            "limit": "Jobs a page, 1 to 1000",
            "cursor": "`next` of the page before",
        },
    ),
    Operation(
        "GET",
        "/v1/jobs/{job}",
        jobs.read,
        "A job with all its attempts",
        Access.USER,
        headers={"Prefer": "`wait=N`: answer when the job has ended, or after N seconds, 60 at most"},
    ),
    Operation(
        "DELETE",
        "/v1/jobs/{job}",
        jobs.cancel,
        "Cancel a job, wherever it is",
        Access.USER,
        answers={200: "The job after it"},
    ),
    Operation(
        "GET",
        "/v1/calls/{call}",
        calls.read,
        "Where a call that became a job stands",
        Access.CALL,
        {200: "Its state and its links; `Retry-After`", 303: "It has ended: `Location` is its answer"},
        headers={"Prefer": "`wait=N`: once it has ended, or N seconds later"},
    ),
    Operation(
        "GET",
        "/v1/calls/{call}/answer",
        calls.read_answer,
        "Exactly what `/run` would have answered",
        Access.CALL,
        {200: "As `/run`"},
        headers={"Accept": "`application/octet-stream`: output bytes as they are, without Base64"},
    ),
    Operation(
        "GET",
        "/v1/jobs/{job}/result",
        job_results.read,
        "A job's result, as `/run` would have answered it",
        Access.USER,
        answers={200: "As `/run`; `X-OSCAR-Job-State` has the job's state"},
        headers={"Accept": "`application/octet-stream`: the bytes as they are, without Base64"},
    ),
    Operation(
        "GET",
        "/v1/jobs/{job}/log",
        job_logs.read,
        "A job's log, so far or whole",
        answers={200: "Text, or server-sent events"},
        query={
            "timestamps": "`true`: each line with its time in front",
            "follow": "`true`: as events until the job ends",
        },
    ),
    Operation(
        "GET",
        "/v1/attempts/{attempt}/order",
        attempts.order,
        "What an attempt's pod is to do",
        Access.CLAIM,
    ),
    Operation(
        "GET",
        "/v1/attempts/{attempt}/payload",
        attempts.payload,
        "A payload that is too large for the order",
        Access.CLAIM,
        {200: "Bytes"},
    ),
    Operation(
        "POST",
        "/v1/attempts/{attempt}/links",
        attempts.links,
        "Links by which the pod gets its input and puts its outputs",
        Access.CLAIM,
        takes="`links`: a list of `method` (GET, PUT), `bucket`, `key`, `content_type`; `upload` and `part`"
        " for a part of one",
    ),
    Operation(
        "POST",
        "/v1/attempts/{attempt}/uploads",
        attempts.begin,
        "Begin an upload in parts of a large output",
        Access.CLAIM,
        takes="`bucket`, `key`, `content_type`",
    ),
    Operation(
        "POST",
        "/v1/attempts/{attempt}/uploads/complete",
        attempts.complete,
        "Make the output of the parts that were put",
        Access.CLAIM,
        takes="`bucket`, `key`, `upload`, `etags` of all parts in their order",
        most=lambda _: COMPLETION_LIMIT,
    ),
    Operation(
        "POST",
        "/v1/attempts/{attempt}/uploads/abort",
        attempts.abort,
        "Give an upload up, with its parts",
        Access.CLAIM,
        {204: EMPTY},
        takes="`bucket`, `key`, `upload`",
    ),
    Operation(
        "PUT",
        "/v1/attempts/{attempt}/result",
        attempts.result,
        "Keep the attempt's result",
        Access.CLAIM,
        {204: EMPTY},
        takes="Bytes",
        most=attrgetter("result_limit"),
    ),
    Operation(
        "POST",
        "/v1/attempts/{attempt}/report",
        attempts.report,
        "Keep how the attempt ended, until it is settled by that",
        Access.CLAIM,
        {204: EMPTY},
        takes="The ending, and notes for the log",
        most=lambda _: REPORT_LIMIT,
    ),
)
