"""One module for each live view of information_schema, named like it. PostgreSQL 15 documentation, chapter 37."""
