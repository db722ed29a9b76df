"""One module for each live relation of pg_catalog, named like it; see shoal.catalog.pg_catalog."""
