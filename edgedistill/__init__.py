"""edgedistill: an edge deployment compiler."""

__version__ = "0.1.0"
