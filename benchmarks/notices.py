"""Notifications as MinIO posts them, of objects under `in/` of the bucket `bench`."""

import json
import time

INPUT = [{"storage_provider": "minio", "path": "bench/in"}]


def notice(*objects: tuple[int, str]) -> bytes:
    """Of the objects with these numbers as names and these etags; MinIO itself tells of one at a time."""
    records = [_record(number, etag) for number, etag in objects]
    told = {"EventName": records[0]["eventName"], "Key": f"bench/in/{objects[0][0]}", "Records": records}
    return json.dumps(told).encode()


def _record(number: int, etag: str) -> dict[str, object]:
    stored = {"key": f"in%2F{number}", "size": 1, "eTag": etag, "sequencer": f"{number + 1:016X}"}
    return {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": "bench"}, "object": stored},
    }
