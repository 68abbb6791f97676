"""What a script sees and leaves: payload to input file, environment, output rules, OSCAR's answer.

Files only: no network, no store, no database. Used by the local executors now and beside the user's container
in a pod.
"""
