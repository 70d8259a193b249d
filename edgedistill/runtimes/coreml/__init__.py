"""Core ML packages (.mlpackage): written here, looked into here, run by Apple's devices alone."""
