"""Whisper (Radford et al. 2023): read from a Hugging Face folder, cut down to what is kept, and
offered as two programs that every runtime takes."""
