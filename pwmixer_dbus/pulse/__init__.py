"""The sound server's end: the only folder that knows pulsectl and libpulse. Events go out, commands come in."""
