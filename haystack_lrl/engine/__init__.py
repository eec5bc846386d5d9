"""The same stages on many machines: Ray carries items to workers, and rows back."""
