"""vmtune: is this virtual machine, or the host it runs on, ready for production?"""

__version__ = "0.1.0"
