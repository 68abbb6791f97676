"""The empty ledgers, for all tests of this folder."""

from tests.ledger.empty import file, ledger, made_database, made_file, postgresql_url, server, sqlite_url, url

__all__ = ["file", "ledger", "made_database", "made_file", "postgresql_url", "server", "sqlite_url", "url"]
