"""Who may come in: the decision about a call, its record, its epoch and lease."""
