"""The HTTP routes: each module one group; they only translate between HTTP and the service."""
