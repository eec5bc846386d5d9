"""Seeds to training pairs: translators and the translation stage."""
