"""The audit of functions: what PostgreSQL 15 has, what the registry declares, and whether both answer alike."""
