"""The pages of the documentation, and what can be read from them: commands, and names in `code`."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

FENCE = re.compile(r"(?:^ *<!-- (?P<mark>[^>]*) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block, with the comment right above it, such as `needs AWS`."""

    page: str
    line: int
    language: str
    mark: str
    text: str

    def commands(self):
        """What a reader types: behind a `$` in a console, all of a shell block; continued lines are one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        typed = [" ".join(re.sub(r"\s+# .*", "", line).split()) for line in lines]
        return [line for line in typed if line and not line.startswith("#")]


def tracked():
    """The files of the repository, and those that are about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in listed if (REPOSITORY / name).is_file()]


def pages():
    return {name: (REPOSITORY / name).read_text(encoding="utf-8") for name in tracked() if name.endswith(".md")}


def blocks(name, text):
    for match in FENCE.finditer(text):
        indent = match["indent"]
        inside = "".join(line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start("language")) + 1
        yield Block(name, line, match["language"], match["mark"] or "", inside)


def spans(text):
    """Everything in `code` outside of the blocks, with its line."""
    prose = FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in SPAN.finditer(prose):
        yield prose.count("\n", 0, match.start()) + 1, " ".join(match[2].split())
