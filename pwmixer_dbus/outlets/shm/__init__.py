"""The state as a file in memory, for readers that look at frame rate."""
