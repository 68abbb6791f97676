"""What is fast, shown as ratios against a reference measured in the same run. Never a timed test.

`python -m benchmarks [name ...]`: a file a benchmark; each prints one table.
"""
