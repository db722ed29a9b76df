"""The judge of the wire protocol: scripts of messages (*.pgt) answered by Shoal as PostgreSQL 15 answers them.

`python -m conformance.wire` runs them; README.md beside this file describes their language.
"""
