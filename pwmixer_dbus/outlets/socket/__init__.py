"""The Unix socket for key bindings, bars and scripts: text and JSON, one line each way."""
