"""What the service is compared with: programs in C, which are built for each run, and the same work in Python."""

IN_C, IN_PYTHON = "a service in C", "plain Python"
"""What those are called that do the same work."""

BESIDE_PLAIN = "a service in C, beside plain Python"
"""The one in C in the rounds of the one in Python, in which ours does nothing."""
