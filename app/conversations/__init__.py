"""Contacts, threads and messages; answering, handing over, and staying silent when a person has taken over."""
