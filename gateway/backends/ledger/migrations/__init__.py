"""How the ledger's schema came to be: an Alembic revision a file in `versions`, each after the one before.

A revision that was released never changes. The newest one's id is `HEAD`.
"""

HEAD = "0003"
