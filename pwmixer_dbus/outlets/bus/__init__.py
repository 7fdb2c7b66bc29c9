"""The D-Bus outlet: the object tree, derived from the state at each call, and its signals."""
