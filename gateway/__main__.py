"""`python -m gateway` is `govgate`."""

from gateway.cli import main

main()
