"""Outside systems, one file each, with a fake beside it."""
