"""Fail when a file has over 400 lines or a Python function over 60."""

import ast
import subprocess
import sys
from pathlib import Path

FILE_LINES, FUNCTION_LINES = 400, 60


def too_long() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.lua"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for name in listed.stdout.split():
        if not Path(name).is_file():
            continue
        text = Path(name).read_text()
        if (lines := text.count("\n")) > FILE_LINES:
            found.append(f"{name}: {lines} lines, at most {FILE_LINES}")
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_LINES:
                    found.append(
                        f"{name}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}"
                    )
    return found


if __name__ == "__main__":
    problems = too_long()
    print("\n".join(problems) or "sizes: all files and functions within bounds")
    sys.exit(bool(problems))
