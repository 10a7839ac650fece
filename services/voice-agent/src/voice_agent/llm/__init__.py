"""A language model as the brain: what it is told, what it may say, and what happens when it fails."""
