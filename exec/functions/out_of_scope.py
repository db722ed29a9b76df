"""Names of PostgreSQL's that stand for features Shoal does not have: errors name the feature (hop 2)."""

from __future__ import annotations

from shoal.catalog.errors import FeatureNotSupported

_GEOMETRY, _SEARCH, _LARGE, _XML = "geometric types", "full-text search", "large objects", "XML functions"
_HINTS = {_SEARCH: "LIKE, ILIKE and regular expressions (~) search text.", _LARGE: "Use the type bytea.",
          "the type money": "Use the type numeric(19, 2).", _GEOMETRY: "Keep coordinates in columns of type float8.",
          _XML: "xml values can be stored and read."}
_TYPES = {"money": "the type money", "tsvector": _SEARCH, "tsquery": _SEARCH,
          **dict.fromkeys(("point", "line", "lseg", "box", "path", "polygon", "circle"), _GEOMETRY)}
_FUNCTIONS = {
    **dict.fromkeys(("point", "line", "lseg", "box", "path", "polygon", "circle", "bound_box", "isclosed", "isopen",
                     "npoints", "pclose", "popen"), _GEOMETRY),
    **dict.fromkeys(("to_tsvector", "to_tsquery", "plainto_tsquery", "phraseto_tsquery", "websearch_to_tsquery",
                     "ts_rank", "ts_rank_cd", "ts_headline", "ts_delete", "ts_filter", "ts_lexize", "ts_debug", "ts_parse",
                     "ts_rewrite", "ts_stat", "setweight", "tsvector_to_array", "array_to_tsvector", "json_to_tsvector",
                     "jsonb_to_tsvector", "tsquery_phrase", "numnode", "querytree", "get_current_ts_config"), _SEARCH),
    **dict.fromkeys(("lo_create", "lo_creat", "lo_import", "lo_export", "lo_unlink", "lo_get", "lo_put", "lo_from_bytea",
                     "lo_open", "lo_close", "lo_lseek", "lo_lseek64", "lo_tell", "lo_tell64", "lo_truncate", "loread",
                     "lowrite"), _LARGE),
    **dict.fromkeys(("xpath", "xpath_exists", "xmlagg", "xmlcomment", "xml_is_well_formed", "xml_is_well_formed_document",
                     "xml_is_well_formed_content", "query_to_xml", "table_to_xml", "cursor_to_xml", "schema_to_xml",
                     "database_to_xml", "query_to_xmlschema", "table_to_xmlschema"), _XML)}


def refuse_type(name: str) -> None:
    """Raises: FeatureNotSupported (0A000) for a type of a feature that is missing."""
    _refuse(_TYPES.get(name))


def refuse_function(name: str) -> None:
    """Raises: FeatureNotSupported (0A000) for a function of a feature that is missing."""
    _refuse(_FUNCTIONS.get(name))


def refuse_text_search() -> None:
    """Raises: FeatureNotSupported (0A000)."""
    _refuse(_SEARCH)


def _refuse(feature: str | None) -> None:
    if feature is not None:
        verb = "is" if feature in (_SEARCH, _TYPES["money"]) else "are"
        raise FeatureNotSupported(f"{feature} {verb} not supported", hint=_HINTS[feature])
