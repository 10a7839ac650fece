"""Means of proving what the bus promises: traced servers, what a disk would hold, processes that are killed at a given
await."""
