"""Service definitions: what is deployed."""
