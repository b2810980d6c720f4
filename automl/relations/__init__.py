"""Several tables around one entity: what they are, how they join, and what was known when."""
