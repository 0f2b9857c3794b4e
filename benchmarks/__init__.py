"""Measured figures against the emulator, side by side with plain tools and other clients."""
