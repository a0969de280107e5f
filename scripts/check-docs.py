#!/usr/bin/env python3
"""Says where a document speaks of what is not there. `make docs-check` runs it; Python's standard library only.

Checked in every Markdown file of the repository: relative links and their anchors, `make` targets that are called, and
in docs/protocol.md the table "Where each rule lives": that every rule stands in it once, that its places exist, and that
its tests do.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RULES = [f"P{number}" for number in range(1, 28)]


def tracked(*patterns):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def without_code_blocks(text):
    """The same text with fenced blocks emptied, so that lines keep their numbers."""
    return re.sub(r"^```.*?^```", lambda block: re.sub(r"[^\n]", "", block.group()), text, flags=re.M | re.S)


def anchors(path):
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", without_code_blocks(path.read_text(encoding="utf-8")), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def wrong_links(path, text):
    for link in re.finditer(r"\[[^\]]*\]\(([^)\s]+)\)", without_code_blocks(text)):
        target, _, anchor = link.group(1).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        line = text.count("\n", 0, link.start()) + 1
        pointed = (path.parent / target).resolve() if target else path
        if not pointed.exists():
            yield line, f"no such file: {target}"
        elif anchor and pointed.suffix == ".md" and anchor not in anchors(pointed):
            yield line, f"no heading #{anchor} in {pointed.relative_to(ROOT)}"


def wrong_targets(text, targets):
    for call in re.finditer(r"(?:^|`|\$ )make ([a-z][a-z-]*)", text, flags=re.M):
        if call.group(1) not in targets:
            yield text.count("\n", 0, call.start()) + 1, f"no target {call.group(1)} in the Makefile"


def wrong_rules(text, tests):
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if re.match(r"\| \[?P\d+", line)]
    stated = [re.match(r"\| \[?(P\d+)", line).group(1) for _, line in rows]
    if stated != RULES:
        yield (rows[0][0] if rows else 1), f"the table should hold {RULES[0]} to {RULES[-1]} once, in order"
    for number, line in rows:
        _, places, shown = (cell.strip() for cell in line.strip().strip("|").split("|"))
        for place in re.findall(r"`([^`]+)`", places):
            if not (ROOT / place).exists():
                yield number, f"no such place: {place}"
        for test in re.findall(r"`([^`]+)`", shown):
            if test not in tests:
                yield number, f"no such test: {test}"


def main():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    tests = set()
    for path in tracked("*.rs"):
        tests.update(re.findall(r"\bfn (\w+)\s*[(<]", path.read_text(encoding="utf-8")))
    wrong = []
    for path in tracked("*.md"):
        text = path.read_text(encoding="utf-8")
        found = [*wrong_links(path, text), *wrong_targets(text, targets)]
        if path == ROOT / "docs" / "protocol.md":
            found += wrong_rules(text, tests)
        wrong += [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in found]
    print("\n".join(wrong) or "documents: every link, target, place and test is there")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
