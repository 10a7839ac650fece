"""The habits of the house, checked over the whole repository (CONTRIBUTING.md says why)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from switchboard.testing import house
from switchboard.testing.house import Module

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
MODULES = house.modules(ROOT)
PRODUCT = [module for module in MODULES if module.is_product]
TESTS = [module for module in MODULES if module.is_test]

# Where time and chance come from; testing helpers stand outside of what is shipped.
CLOCK_SOURCES = ("libs/common/src/switchboard/clock.py", "libs/common/src/switchboard/testing/")


def exceptions() -> dict[str, int]:
    text = Path(__file__).with_name("size_exceptions.txt").read_text()
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return {line[0]: int(line[1]) for line in lines if line}


def test_there_is_something_to_check() -> None:
    assert len(PRODUCT) > 30
    assert len(TESTS) > 10


def test_files_and_functions_are_short() -> None:
    too_long = dict(entry for module in MODULES for entry in house.sizes(module))
    assert house.size_gaps(too_long, exceptions()) == []


def test_every_test_module_says_what_it_needs() -> None:
    assert [gap for module in TESTS if (gap := house.category_gap(module))] == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    assert [line for module in TESTS for line in house.not_run(module)] == []


def test_no_test_sleeps() -> None:
    assert [line for module in TESTS for line in house.waits(module)] == []


def test_time_and_chance_come_from_arguments() -> None:
    checked = [module for module in PRODUCT if not module.path.startswith(CLOCK_SOURCES)]
    assert [line for module in checked for line in house.clock_calls(module)] == []


def test_domain_modules_know_no_framework() -> None:
    services = [module for module in PRODUCT if module.path.startswith("services/")]
    assert [line for module in services for line in house.framework_imports(module)] == []


def test_test_folders_are_not_packages() -> None:
    assert [module.path for module in MODULES if module.path.endswith("/tests/__init__.py")] == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    homes = tuple("/" + name + "/" for name in ("root", "work"))
    found = [module.path for module in MODULES if any(f'"{home}' in module.text for home in homes)]
    assert found == []


def test_imports_keep_to_the_architecture() -> None:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert linter is not None, "import-linter is not installed; run make setup"
    done = subprocess.run(
        [linter, "--config", str(ROOT / ".importlinter"), "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


LONG = "def long() -> None:\n" + "    pass\n" * 60


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\n" * 401, {"a.py": 401}),
        (LONG, {"a.py:long": 61}),
        ("class C:\n" + "".join(f"    {line}\n" for line in LONG.splitlines()), {"a.py:C.long": 61}),
        ("x = 1\n" * 400, {}),
    ],
)
def test_what_is_too_long_is_found(text: str, found: dict[str, int]) -> None:
    assert dict(house.sizes(Module("a.py", text))) == found


@pytest.mark.parametrize(
    ("now", "allowed", "fine"),
    [
        ({"a.py": 500}, {}, False),
        ({"a.py": 500}, {"a.py": 500}, True),
        ({"a.py": 501}, {"a.py": 500}, False),
        ({"a.py": 450}, {"a.py": 500}, False),
        ({}, {"a.py": 500}, False),
    ],
)
def test_an_exception_may_only_shrink(now: dict[str, int], allowed: dict[str, int], fine: bool) -> None:
    assert (house.size_gaps(now, allowed) == []) is fine


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("pytestmark = pytest.mark.unit", True),
        ("pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]", True),
        ("pytestmark = [pytest.mark.unit, pytest.mark.e2e]", False),
        ("pytestmark = pytest.mark.slow", False),
        ("@pytest.mark.unit\ndef test_x(): ...", False),
        ("", False),
    ],
)
def test_a_missing_category_is_found(text: str, fine: bool) -> None:
    assert (house.category_gap(Module("tests/test_a.py", text)) is None) is fine


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (house.not_run, "@pytest.mark." + "skip\ndef test_x(): ..."),
        (house.not_run, "def test_x():\n    pytest." + "xfail('later')"),
        (house.waits, "time.sleep(1)"),
        (house.clock_calls, "now = datetime.now(UTC)"),
        (house.clock_calls, "now = time.time()"),
        (house.clock_calls, "message_id = uuid4()"),
        (house.clock_calls, "pick = random.choice(names)"),
    ],
)
def test_each_rule_finds_its_offence(rule: object, text: str) -> None:
    assert callable(rule)
    assert len(rule(Module("tests/test_a.py", text))) == 1


def test_a_framework_in_a_domain_module_is_found() -> None:
    guilty = Module(
        "services/x/src/x/calls/service.py", "from litestar import get\nfrom fastapi.responses import Response\n"
    )
    adapter = Module("services/x/src/x/calls/endpoints.py", "from litestar import get\n")
    assert len(house.framework_imports(guilty)) == 2
    assert house.framework_imports(adapter) == []
