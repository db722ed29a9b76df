"""PostgreSQL's own regression scripts as judge: each SELECT on a live PostgreSQL and on Shoal, over the same tables."""
