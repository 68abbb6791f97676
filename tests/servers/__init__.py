"""Real servers for tests: a file each, found by its URL in the environment, else started from a local binary;
without either the test is skipped, and fails with CI=true."""
