"""`python -m haystack_lrl.cli`, where the entry point is not on the PATH."""

from haystack_lrl.cli import main

if __name__ == "__main__":
    main(prog_name="haystack-lrl")
