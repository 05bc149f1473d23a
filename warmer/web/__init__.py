"""The daemon over HTTP: whether it is alive and ready, and its metrics."""
