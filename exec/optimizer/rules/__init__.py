"""The optimizer's rules, one in each module; their order is in exec/optimizer/__init__.py."""
