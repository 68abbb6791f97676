"""The tables of the index.

Times are milliseconds since 1970; keys are bytes, so that they order as S3 orders them.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    tags TEXT NOT NULL
);
-- Buckets that are gone, whose objects and uploads are still to be forgotten. Ids are never used again.
CREATE TABLE IF NOT EXISTS removed_buckets (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS objects (
    bucket_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    etag TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    metadata TEXT NOT NULL,
    segments TEXT NOT NULL,
    UNIQUE (bucket_id, key)
);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    bucket_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    begun_ms INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    metadata TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket_id, key, id);
CREATE TABLE IF NOT EXISTS parts (
    upload_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    etag TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    blob TEXT NOT NULL,
    PRIMARY KEY (upload_id, number)
);
"""
