"""`python -m warmer`."""

from warmer.cli import main

main()
