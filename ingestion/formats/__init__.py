"""One module per file format: `parse(data, limits)` turns bytes into sections. Runs in the child process only."""
