"""What the end-to-end tests stand on: tools, processes, a real broker, the Java service and ours.

Everything is installed and written under `target/`, everything listens on loopback, and nothing
outlives the Python process that started it. The modules `tools`, `process` and `servers` need the
standard library alone, so that they can make the virtual environment the rest runs in.
"""
