"""The runner: a small program beside each script that runs as a process. It starts the script, keeps what it
prints, holds it to its limits, ends what it leaves behind, and writes down how it ended, also when the
gateway is long gone.

It runs isolated (`python -I -S`) and must start fast: standard library only, and little of it.
"""
