"""Businesses that use Jobx."""
