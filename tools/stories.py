"""Write docs/fundamentals.md from tests/fundamentals: the docs show what the tests run."""

import ast
import sys
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "fundamentals.md"
CHAPTERS = ("test_tasks.py", "test_outbox.py")
HEAD = """# Fundamentals

Each feature as a short story. These are tests, run on both engines against a real server; this page is
written from them by `tools/stories.py`.
"""


def page() -> str:
    parts = [HEAD]
    for name in CHAPTERS:
        source = (ROOT / "tests" / "fundamentals" / name).read_text()
        tree = ast.parse(source)
        lines = source.splitlines()
        parts.append(f"\n## {(ast.get_docstring(tree) or '').splitlines()[0]}\n")
        shown = ast.Import, ast.ImportFrom
        for node in tree.body[1:]:
            if isinstance(node, shown):
                continue
            if not _is_story(node):
                start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
                parts.append(_block(lines[start - 1 : node.end_lineno]))
                continue
            parts.append(f"\n### {_sentence(node.name)}\n")
            parts.append(_block(lines[node.lineno - 1 : node.end_lineno]))
    return "\n".join(parts).rstrip() + "\n"


def _is_story(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def _sentence(name: str) -> str:
    words = name.removeprefix("test_").replace("_", " ")
    return words[0].upper() + words[1:]


def _block(lines: list[str]) -> str:
    return "\n".join(["", "```python", *lines, "```", ""])


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
