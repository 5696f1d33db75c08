"""What the pages name in `code` is there: files, variables, parameters with their defaults. And what they count is so many."""

import collections
import glob
import re
import sys
from pathlib import Path

import pytest

from pages import REPOSITORY, pages, spans, tracked

sys.path.append(str(REPOSITORY / "tests/template"))
import cloudformation  # noqa: E402
import lint  # noqa: E402

FILES = tracked()
FOLDERS = {str(folder) for name in FILES for folder in Path(name).parents}
TOP = {name.partition("/")[0] for name in FILES}
BASENAMES = {Path(name).name for name in FILES}
SOURCES = "\n".join((REPOSITORY / name).read_text(encoding="utf-8") for name in FILES if name.endswith((".rs", ".py", ".yaml", ".toml")))

# What is made, and not committed: below target, or in the folder of whoever calls.
MADE = {"user_data.yaml"}
A_FILE = re.compile(r"[\w.-]+\.(rs|py|yaml|toml|tml|md|tsv|json|jsonl|svg|d2|sh|lock|html|in)|Makefil\w*")


# CONTRIBUTING.md's example of an operation that is not there, and a page about the files of another project.
OF_OTHERS = {"CONTRIBUTING.md": re.compile("reboot[-_]instance"), "docs/MIGRATION.md": re.compile(r"control-plane-api|_(query|command)\.py")}


def missing_path(page, name):
    """Why this name of a file or a folder is wrong; nothing if it is none, or is right."""
    if page in OF_OTHERS and OF_OTHERS[page].search(name):
        return None
    name = re.sub(r":\d+$", "", name).rstrip("/")
    if not re.fullmatch(r"[\w.*/<>{},-]+", name) or name.startswith(("target", ".venv", "/", "<")):
        return None
    pattern = re.sub(r"<[^>]*>|\{[^}]*\}", "*", name)
    if "/" in name and name.partition("/")[0] in TOP:
        found = pattern in FOLDERS or glob.glob(pattern, root_dir=REPOSITORY)
    elif A_FILE.fullmatch(name) and "*" not in pattern:
        found = name in BASENAMES or name in MADE
    elif "/" in name and A_FILE.fullmatch(name.rpartition("/")[2]) and "*" not in pattern:
        # A path below the folder that the sentence is about.
        found = any(file.endswith(f"/{name}") for file in FILES)
    else:
        return None
    return None if found else f"{page}: there is no {name}"


def test_each_file_and_folder_that_is_named_is_there():
    named = [(page, span) for page, text in pages().items() for _, span in spans(text)]
    assert [fault for page, span in named if (fault := missing_path(page, span))] == []
    assert sum(span in FOLDERS or span in FILES for _, span in named) > 80


@pytest.mark.parametrize("name", ["shared/src/opps/mod.rs", "docs/NONE.md", "functions/<operation>/src/man.rs", "lintt.py", "ops/stop_instanze.rs", "foo.lock", "deny.tml", "Makefil"])
def test_a_wrong_path_is_noticed(name):
    assert missing_path("docs/NEW.md", name) == f"docs/NEW.md: there is no {name}"


def test_each_variable_that_is_named_is_read():
    named = {span for text in pages().values() for _, full in spans(text) for span in re.findall(r"\bCML_[A-Z_]*[A-Z]\b", full)}
    assert len(named) > 25
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", SOURCES)] == []


TEMPLATE = cloudformation.read("template.yaml")
PARAMETERS = TEMPLATE["Parameters"]
CONFIGURATION = pages()["docs/CONFIGURATION.md"]


def written_defaults(text):
    """The defaults that the page gives: of the table's rows, and in the list as `Name` (`default`) or `Name` (default)."""
    for names, default in re.findall(r"^\| [^|]*\| ([^|]*) \| ([^|]*) \| [^|]*\|$", text, re.MULTILINE):
        names = re.findall(r"`(\w+)`", names)
        yield from zip(names, default.strip().strip("`").split(", ") if len(names) > 1 else [default.strip().strip("`")], strict=False)
    for name, code, words in re.findall(r"`([A-Z]\w+)` \((?:`([^`]+)`|([^`),]+))", text):
        yield name, code or words


# What a default is in words.
WORDS = {"none": "", "no limit": "0", "any": "", "any but the reserved ones": "", "the function's own region": "", "self": ""}
# Made of more than the parameter.
COMPOSED = {"Monitoring", "WorkerRoleName"}


def wrong_defaults(text):
    for name, default in written_defaults(text):
        if name not in PARAMETERS:
            yield f"there is no parameter {name}"
        elif name not in COMPOSED:
            said = WORDS.get(default, default.split(" ")[0] if default[0].isdigit() else default)
            if said != str(PARAMETERS[name].get("Default")):
                yield f"{name}: its default is {PARAMETERS[name].get('Default')!r} and not {default!r}"


def test_the_defaults_of_the_parameters_are_the_templates():
    assert list(wrong_defaults(CONFIGURATION)) == []
    assert len(list(written_defaults(CONFIGURATION))) > 25


@pytest.mark.parametrize(("good", "bad"), [
    ("| `MaxWorkers` | no limit |", "| `MaxWorkers` | 7 |"),
    ("`MemorySize` (256)", "`MemorySize` (512)"),
    ("| 5, 60 |", "| 5, 61 |"),
    ("`HealthSchedule` (`rate(5 minutes)`", "`HealthSchedule` (`rate(6 minutes)`"),
    ("`MarkMinutes`", "`MarkHours`"),
])
def test_another_default_is_noticed(good, bad):
    assert good in CONFIGURATION
    assert len(list(wrong_defaults(CONFIGURATION.replace(good, bad, 1)))) == 1


def test_each_parameter_is_described():
    text = CONFIGURATION + pages()["iam/README.md"] + pages()["docs/MONITORING.md"]
    assert [name for name in PARAMETERS if not re.search(rf"(`|\| |, ){name}\b", text)] == []


# Lambda functions, and of those the ones that a route calls.
FUNCTIONS = len([name for name in FILES if re.fullmatch(r"functions/[\w-]+/Cargo\.toml", name)])
ROUTED = FUNCTIONS - 1
WORDS_OF_NUMBERS = "eleven twelve thirteen fourteen fifteen sixteen".split()
COUNTED = re.compile(
    rf"\b({'|'.join(WORDS_OF_NUMBERS)}|1\d) (?:of them|AWS Lambda functions|Lambda functions|functions|operations)\b", re.IGNORECASE)


def wrong_counts(text):
    number = {word: count for count, word in enumerate(WORDS_OF_NUMBERS, 11)}
    return [found for found in COUNTED.findall(text) if number.get(found.lower(), found) not in (FUNCTIONS, ROUTED, str(FUNCTIONS), str(ROUTED))]


def test_another_count_is_noticed():
    assert wrong_counts("twelve operations, 15 Lambda functions, thirteen of them, 13 functions") == ["twelve", "15"]


def test_the_operations_are_as_many_as_the_pages_say():
    text = "\n".join(pages().values()) + TEMPLATE["Description"]
    assert len(COUNTED.findall(text)) > 8 and wrong_counts(text) == []
    assert ROUTED == len([one for one in TEMPLATE["Resources"].values() if any(
        event["Type"] == "Api" for event in one.get("Properties", {}).get("Events", {}).values())])


def test_the_policys_length_is_what_the_page_says():
    largest = collections.Counter()
    list(lint.faults_at_the_limits(largest))
    said = f"IAM takes {lint.MOST_OF_MANAGED:,} characters of a policy, and the hardened one has {largest['CMLWorkerManagementPolicy']:,}"
    assert said.replace(" ", "") in pages()["CONTRIBUTING.md"].replace("\n", "").replace(" ", "")
