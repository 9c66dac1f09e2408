"""Imported last by the server that processes are forked from: their garbage collectors pass over all before it."""

import gc

gc.collect()
gc.freeze()
