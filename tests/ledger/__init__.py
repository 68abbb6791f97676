"""What is the SQL ledger's own: plans, migrations, durability, a model. Its promises are in `contracts`."""
