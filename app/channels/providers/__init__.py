"""One file per channel; a provider never imports another."""
