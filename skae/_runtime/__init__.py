"""The process around a computation: devices, threads, global settings, warnings."""
