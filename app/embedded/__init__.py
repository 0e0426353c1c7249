"""The embedded defaults: a database of its own, and the sample that a first start makes."""
