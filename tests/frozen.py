"""Imported last by the server of forks: the garbage collector of each passes over what is here."""

import gc

gc.collect()
gc.freeze()
