"""Pages with charts, each one file that needs no network. Nothing here is touched but this package's own data."""
