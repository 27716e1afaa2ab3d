"""Corpora: more files than one process should take, into shards, on one machine or on many.

    listing (what there is) -> portions (what one worker does at a time) -> an engine -> a shard each

Finished shards are known by their records, so that the same command goes on where it stopped.
"""
