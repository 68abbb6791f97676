"""`make demo`: the example services at work on a gateway of their own, through its public API."""
