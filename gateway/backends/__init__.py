"""Where things live: a folder a role, with `protocol.py` (its promises) and a file a technology.

Roles never import each other; `connect.py` alone names implementations. An optional library is imported where
its implementation is picked. Third-party exceptions end in the implementation's file.
"""
