"""What is written as JSON is JSON: the standard library writes NaN unless told not to."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_no_json_is_written_with_nan():
    for package in ("mmgenre", "data_prep"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or path.parent.name == "bundle_files":
                    continue
                if ast.unparse(node.func) in ("json.dumps", "json.dump"):
                    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                    assert given.get("allow_nan") == "False", f"{path}:{node.lineno}"
