"""Users of identity providers."""
