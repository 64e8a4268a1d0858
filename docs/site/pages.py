"""What the documentation site needs beyond `docs/`: the pages that live elsewhere in the tree.

README, SECURITY, CONTRIBUTING, CHANGELOG and launch/README are read where they are found on a code
host, and are pages of the site as well. Links between them, and to files of the source, are
rewritten for the site: a link to a source file becomes its name, since the site has no sources.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT: Final = Path(__file__).parent.parent.parent

_ELSEWHERE: Final = {
    "README.md": "index.md",
    "launch/README.md": "launch.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Path in the tree to path in the site."""

_LINK: Final = re.compile(r"\[(?P<text>[^\]\[]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that live outside `docs/`."""
    for source, page in _ELSEWHERE.items():
        text = (_ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Returns the page with its links as they must be in the site."""
    in_site = page.file.src_uri
    in_tree = next((tree for tree, site in _ELSEWHERE.items() if site == in_site), None)
    source = in_tree or posixpath.join("docs", in_site)

    def rewrite(link: re.Match[str]) -> str:
        target, anchor = link["target"], link["anchor"] or ""
        if re.match(r"[a-z]+:", target):
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in _ELSEWHERE:
            path = _ELSEWHERE[path]
        elif path.startswith("docs/"):
            path = path.removeprefix("docs/")
        else:
            if not os.path.exists(_ROOT / path):
                raise FileNotFoundError(f"{source}: links to {target}, which does not exist")
            return f"`{path}`"
        relative = posixpath.relpath(path, posixpath.dirname(in_site) or ".")
        return f"[{link['text']}]({relative}{anchor})"

    return _LINK.sub(rewrite, markdown)
