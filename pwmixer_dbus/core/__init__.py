"""The pure middle: records, events, state, decisions. Standard library only; no I/O, no loop, no clock."""
