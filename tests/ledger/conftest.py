"""The empty ledgers, for all tests of this folder."""

from tests.ledger.empty import file, made_database, made_file, postgresql_url, server, sqlite_url

__all__ = ["file", "made_database", "made_file", "postgresql_url", "server", "sqlite_url"]
