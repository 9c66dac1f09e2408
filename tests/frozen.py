"""Imported last by the server that processes are forked from: the garbage collector of each passes over what is here."""

import gc

gc.collect()
gc.freeze()
