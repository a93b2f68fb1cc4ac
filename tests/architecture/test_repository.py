"""What must never be in the repository, and what must."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_lock_file_records_the_hosts_of_an_index() -> None:
    names = {"uv.lock", "poetry.lock", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"}
    assert [path.name for path in tracked() if path.name in names] == []


def requirements() -> list[Path]:
    found = sorted((ROOT / "requirements").glob("*.txt"))
    assert "run.txt" in [path.name for path in found]
    return found


def test_no_requirements_file_names_an_index() -> None:
    for path in requirements():
        assert not re.search(
            r"^\s*(-i|--index-url|--extra-index-url|--find-links|-f)\b|https?://", path.read_text(), re.M
        )


def test_every_dependency_is_pinned_with_its_hashes() -> None:
    for path in requirements():
        for block in re.split(r"\n(?=\S)", path.read_text().strip()):
            assert "==" in block, f"{path.name}: {block.splitlines()[0]}"
            assert "--hash=sha256:" in block, f"{path.name}: {block.splitlines()[0]}"


def test_what_every_project_needs_is_there() -> None:
    for name in (
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "config.example.toml",
        ".ci/run",
    ):
        assert (ROOT / name).is_file(), name


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "connectors").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
