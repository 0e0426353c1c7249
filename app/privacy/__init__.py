"""What is kept of people, for how long, and how it goes: the inventory, erasure, receipts and their proof."""
