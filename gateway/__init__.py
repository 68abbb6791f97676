"""The product: how people reach it, and all that gateway and workers share."""

__version__ = "0.1.0"
