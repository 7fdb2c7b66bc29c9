"""The users' end: each outlet shows the same state in its own way. None imports another, none imports pulse."""
