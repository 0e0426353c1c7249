"""What a tenant's use costs, and the limits that stop it."""
