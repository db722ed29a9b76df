"""The parts of a catalog's URL that several connectors share: `scheme:path?key=value` and the options beside it."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl, unquote

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.errors import ConfigurationError, did_you_mean


def path_and_options(definition: CatalogDefinition, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """What stands between scheme and `?`, and the options of the URL's query and of the definition together.

    Raises: ConfigurationError (F0000) naming an option that is not among the `known`.
    """
    rest = definition.url.partition(":")[2]
    path, _, query = rest.partition("?")
    options = {**dict(parse_qsl(query, keep_blank_values=True)), **definition.options}
    for key in options:
        if key not in known:
            raise ConfigurationError(f'catalog "{definition.name}": unknown option "{key}"',
                                     hint=did_you_mean(key, known) or f"Known are: {', '.join(sorted(known)) or 'none'}.")
    return unquote(path), options
