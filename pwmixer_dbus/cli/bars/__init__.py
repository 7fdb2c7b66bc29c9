"""Status bars: what `Describe` says of a target as a line of text or JSON, printed anew whenever it changes."""
