"""Where a script runs when no cluster does it: on this machine, or in a container of the local engine.

Shared by the local invoker and the local launcher, which differ in what they wait for, not in how a script
runs.
"""
