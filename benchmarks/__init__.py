"""What the service costs, measured beside programs that do the same; `scripts/bench` runs it, docs/performance.md tells of it."""
