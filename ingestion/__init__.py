"""Bytes in, chunks out: parsing in a limited child process, then splitting by heading and tokens."""
