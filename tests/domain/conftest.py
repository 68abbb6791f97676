"""A busy machine is not a fault: hypothesis measures no time here, the tests' own limit does."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
