"""What the server takes and answers, for its OpenAPI document and for the page that shows it."""

from typing import Any, Final

_FLOATS: Final = {"type": "object", "additionalProperties": {"type": "number"}}
_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What `python -m mmgenre.predict --json` prints for the movie.",
    "properties": {
        "genres": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The predicted ones, most probable first.",
        },
        "probabilities": {**_FLOATS, "description": "Of every genre."},
        "thresholds": {
            **_FLOATS,
            "description": "Of every genre: it is predicted when its probability is at least this.",
        },
        "has_poster": {"type": "boolean"},
        "has_overview": {"type": "boolean"},
        "words": {"type": "integer", "description": "Of the overview."},
        "unknown_words": {"type": "integer", "description": "Those not in the vocabulary."},
        "note": {"type": "string", "description": "What to be careful about; empty for nothing."},
        "missing": {
            "type": ["string", "null"],
            "description": "The half that the answer had to do without: poster or overview.",
        },
    },
}
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "poster": {
            "type": "string",
            "format": "binary",
            "description": "A JPEG, PNG, WebP, GIF or uncompressed BMP file.",
        },
        "overview": {"type": "string"},
    },
}
_MOVIES: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["movies"],
    "properties": {
        "movies": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "overview": {"type": ["string", "null"]},
                    "poster": {
                        "type": ["string", "null"],
                        "contentEncoding": "base64",
                        "description": "The file of a picture.",
                    },
                },
            },
        }
    },
}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "One sentence."}},
}
_MISTAKES: Final = {
    400: "The form or the JSON cannot be read.",
    401: "The server has a token, and the request does not show it.",
    403: "The request names another server, or another server's page sends it.",
    408: "The request took too long to come in.",
    413: "The request, a poster, an overview or the number of movies is too large.",
    415: "The request is neither a form nor JSON.",
    422: "A poster cannot be used, or there is no movie to answer for.",
    503: "The server has as much to do as it takes; try again after Retry-After seconds.",
    504: "The answer took too long.",
}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


PREDICT: Final[dict[str, Any]] = {
    "summary": "Genres of a movie, or of several",
    "description": "Each movie has a poster, an overview, or both. A form has one movie, and its "
    "answer is that movie's; JSON has a list, and so has its answer, in the same order.",
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": _FORM}, **_json(_MOVIES)},
        }
    },
    "responses": {
        200: {
            "description": "The answer.",
            "content": _json(
                {
                    "oneOf": [
                        _ANSWER,
                        {
                            "type": "object",
                            "required": ["movies"],
                            "properties": {"movies": {"type": "array", "items": _ANSWER}},
                        },
                    ]
                }
            ),
        },
        **{
            status: {"description": text, "content": _json(_ERROR)}
            for status, text in _MISTAKES.items()
        },
    },
}
HEALTH: Final[dict[str, Any]] = {
    "summary": "Whether the server answers",
    "responses": {200: {"description": "It does.", "content": _json({"type": "object"})}},
}
METRICS: Final[dict[str, Any]] = {
    "summary": "Counts and times, for Prometheus",
    "responses": {200: {"description": "In its text format.", "content": {"text/plain": {}}}},
}


def mistakes() -> dict[int, str]:
    """Returns what each status but 200 means."""
    return dict(_MISTAKES)
