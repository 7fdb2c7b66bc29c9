"""What the process has to do with the system that it runs on."""
