"""Makes the start of the service short, and what it occupies small; `PWMIXER_PLAIN=1` is without all of it."""
