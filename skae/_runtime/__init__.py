"""The process around a computation: devices, threads, what others set, warnings."""
