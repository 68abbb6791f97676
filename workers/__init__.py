"""How queued work is done: one loop a file. Never imports `gateway.api`."""
