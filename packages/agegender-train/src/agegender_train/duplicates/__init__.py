"""The same face twice: copies, near-copies, whether their labels agree, and what hangs together through them."""
