"""A command line client of the archive: sends folders over any line. Standard library and tqdm."""

__version__ = "0.1.0"
