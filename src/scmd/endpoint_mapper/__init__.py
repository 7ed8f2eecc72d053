"""The endpoint mapper: who asks at TCP port 135 is told where an interface is served."""
