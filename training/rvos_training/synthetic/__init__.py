"""Generated clips of moving shapes with referring sentences. The same seed gives the same clip."""
VERSION = 2  # raised whenever the same seed would give another clip or sentence
