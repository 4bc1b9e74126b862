"""`python -m vmtune`, and the entry of the zipapp."""

from vmtune.cli import main

main()
