"""What the emulator holds, and its calendar."""
