"""The proof that nothing is lost or said twice while everything dies: `make chaos`."""
