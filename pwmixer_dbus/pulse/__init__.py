"""The sound server; the only user of pulsectl."""

import ctypes.util

# pulsectl asks for a library called "libpulse", of which ctypes knows nothing; it then runs ldconfig, gcc and ld, which
# takes 20 ms, before pulsectl loads libpulse.so.0 after all. Whoever starts the service by a call waits for that.
_search = ctypes.util.find_library
ctypes.util.find_library = lambda name: None  # noqa: ARG005 - its one parameter has this name
try:
    import pulsectl as _pulsectl  # noqa: F401 - for what it does when it is loaded
finally:
    ctypes.util.find_library = _search
