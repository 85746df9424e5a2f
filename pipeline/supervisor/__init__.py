"""The supervisor: starts the platform's processes in order, restarts what dies, stops all of it without leaving anything behind.

Why not a library: honcho ends everything when one process ends; supervisord is a daemon with a configuration file that
starts by priority, not when a dependency is healthy, and leaves its children running when it is killed; circus needs
pyzmq and tornado and has no health gates either. What is needed here is small.
"""
