"""Each command of the pages is run, or its page says why not: a comment above the block, `slow` or `needs AWS`.

What needs a running API is run by clients/python/tests/test_documentation.py.
"""

import json
import re
import shlex
import subprocess

import pytest

from pages import REPOSITORY, Block, blocks, pages, spans

MARKS = ("slow", "needs AWS")

# The commands that run each other, read from the files that do.
CI = (REPOSITORY / ".ci/run").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
RUN_RS = (REPOSITORY / "tests/integration/run.rs").read_text(encoding="utf-8")
CLIENT_TESTS = (REPOSITORY / "clients/python/tests/test_documentation.py").read_text(encoding="utf-8")
WHEEL_TEST = (REPOSITORY / "clients/python/tests/test_wheel.py").read_text(encoding="utf-8")


def recipe(target):
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    return found[1].replace("\\\n", " ").replace("$(VENV)", ".venv") if found else ""


def is_run_by_ci(command):
    """`make lint` and `make test` stand in .ci/run, and what the recipe of the first runs is run, too."""
    if command in [f"make {target}" for line in re.findall(r"^make ([\w -]+)", CI, re.MULTILINE) for target in line.split()]:
        return True
    lint = recipe("lint")
    return command in [line.strip() for line in lint.splitlines()] or command.replace("make ", "@$(MAKE) ") in lint


def is_run_by_another_test(command):
    if command == "make run":
        program = recipe("run").splitlines()[-1].strip().removeprefix("@")
        return f'repository().join("{program}")' in RUN_RS
    if command.startswith("python3 -m venv"):
        # The wheel of that name, installed where nothing else is.
        return re.search(r"target/client/cml_workers-[\d.]+-py3-none-any\.whl", command)[0] in built_wheels() and "venv" in WHEEL_TEST
    # The blocks of the pages that this one names.
    return command.startswith(("cml-workers ", "export ", "curl --aws-sigv4 "))


def built_wheels():
    return [str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("target/client/*.whl")]


def is_read_by_the_clients_tests(block):
    return f'"{block.page}"' in CLIENT_TESTS


# What the tests below run.
RUN_HERE = ("make client", "make generate", "sed -e ", "jq --null-input ")


def unrun(found):
    """The commands of a block that nothing runs, with what to do."""
    if found.language not in ("console", "sh"):
        return []
    if found.mark in MARKS:
        return []
    if found.mark:
        return [f"{found.page}:{found.line}: the comment {found.mark!r} is none of {MARKS}"]
    missing = []
    for command in found.commands():
        by_client = is_run_by_another_test(command) and (command.startswith(("make ", "python3 ")) or is_read_by_the_clients_tests(found))
        if not (is_run_by_ci(command) or command.startswith(RUN_HERE) or by_client):
            missing.append(f"{found.page}:{found.line}: nothing runs {command!r}: run it in a test, or mark its block")
    return missing


ALL = [block for name, text in pages().items() for block in blocks(name, text)]


# What a fence may be of: only the first two have commands.
LANGUAGES = {"console", "sh", "diff", "json", "python", "text", "yaml"}


def odd_fences(name, text):
    """Fences that `pages.blocks` would read wrongly or not at all."""
    lines = [line.strip() for line in text.splitlines() if line.lstrip().startswith(("```", "~~~"))]
    opened = [line for line in lines[::2] if line.removeprefix("```") not in LANGUAGES]
    return [f"{name}: {line}" for line in opened + [line for line in lines[1::2] if line != "```"]]


def test_each_fence_says_what_is_in_it():
    assert [fence for name, text in pages().items() for fence in odd_fences(name, text)] == []


@pytest.mark.parametrize("fence", ["```bash", "```shell", "```", "~~~console", "```console title=x"])
def test_a_fence_that_would_hide_a_command_is_noticed(fence):
    assert odd_fences("docs/NEW.md", f"{fence}\n$ make nothing\n{fence[:3]}\n") != []


def test_each_command_is_run_or_says_why_not():
    assert [fault for block in ALL for fault in unrun(block)] == []
    assert sum(len(block.commands()) for block in ALL) > 40


@pytest.mark.parametrize(("mark", "text", "fault"), [
    ("", "$ make nothing\n", "nothing runs 'make nothing'"),
    ("", "$ rm -r target\n", "nothing runs 'rm -r target'"),
    ("fast", "$ make test\n", "is none of"),
    ("", "$ cml-workers list\n", "nothing runs 'cml-workers list'"),
    ("", "$ python3 -m venv x && x/bin/pip install target/client/cml_workers-0.0.9-py3-none-any.whl\n", "nothing runs"),
])
def test_a_command_that_nothing_runs_is_noticed(mark, text, fault):
    [found] = unrun(Block("docs/NEW.md", 3, "console", mark, text))
    assert fault in found and found.startswith("docs/NEW.md:3: ")
    assert unrun(Block("docs/NEW.md", 3, "console", "slow", text)) == []


def shell(command, folder=REPOSITORY):
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)


def commands_like(beginning):
    found = [command for block in ALL if block.mark not in MARKS for command in block.commands() if command.startswith(beginning)]
    assert found, beginning
    return found


def test_make_client_says_how_to_install_the_wheel():
    assert commands_like("make client")
    done = shell("make --no-print-directory client")
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("pip install target/client/cml_workers-"), done.stderr


def test_make_generate_changes_nothing_of_what_is_committed():
    assert commands_like("make generate")
    written = ["Cargo.toml", "README.md", "docs/SCALE.md", "docs/architecture.svg", "iam/README.md", "openapi.yaml"]
    before = {name: (REPOSITORY / name).read_bytes() for name in written}
    done = shell("make --no-print-directory generate")
    changed = [name for name in written if (REPOSITORY / name).read_bytes() != before[name]]
    for name in changed:
        # So that the next run notices it, too.
        (REPOSITORY / name).write_bytes(before[name])
    assert (done.returncode, changed) == (0, []), done.stderr


def test_the_policys_placeholders_are_filled_in():
    [command] = commands_like("sed -e ")
    done = shell(command)
    policy = json.loads(done.stdout)
    assert "${" not in done.stdout and policy["Statement"] and ":abcdef1234/" in done.stdout


def test_the_body_of_a_launch_is_made(tmp_path):
    [command] = commands_like("jq --null-input ")
    [cloud_config] = [block for block in ALL if block.page == "iam/README.md" and block.language == "yaml"]
    (tmp_path / "user_data.yaml").write_text(cloud_config.text, encoding="utf-8")
    if shell("jq --version").returncode:
        pytest.skip("jq is not installed")
    body = json.loads(shell(command.replace("<WorkerInstanceProfileName>", "CMLWorker"), tmp_path).stdout)
    assert body["user_data"] == cloud_config.text and body["iam_instance_profile"] == "CMLWorker"


def test_the_json_of_the_pages_is_json():
    found = [block for block in ALL if block.language == "json"]
    assert len(found) >= 4
    for block in found:
        json.loads(re.sub(r",?\s*…", "", block.text))


HELP = dict(re.findall(r"^([a-z-]+):.*## (.*)$", MAKEFILE, re.MULTILINE))


def unknown_to_make(text):
    """What `make` of this command would not know: the target, or a variable."""
    words = shlex.split(re.sub("<[^>]*>", "x", text))
    if words[1:] and words[1] not in HELP:
        yield f"there is no target {words[1]}"
    for word in words[2:]:
        name = word.partition("=")[0]
        if "=" not in word or not re.search(rf"\b{name}\b", MAKEFILE):
            yield f"make {words[1]} takes no {word}"


def test_each_make_command_names_what_make_knows():
    typed = [(block.page, command) for block in ALL for command in block.commands() if command.startswith("make ")]
    written = [(name, span) for name, text in pages().items() for _, span in spans(text) if re.match(r"make [a-z-]+( [A-Z_]+=|$)", span)]
    assert len(written) > 40
    faults = [f"{page}: {command}: {fault}" for page, command in typed + written for fault in unknown_to_make(command)]
    assert faults == []


def test_a_target_or_a_variable_that_make_does_not_know_is_noticed():
    assert list(unknown_to_make("make deply")) == ["there is no target deply"]
    assert list(unknown_to_make("make bench ROUND=3")) == ["make bench takes no ROUND=3"]


def test_each_target_is_described_somewhere():
    text = "\n".join(pages().values())
    assert [target for target in HELP if target != "help" and f"make {target}" not in text] == []
