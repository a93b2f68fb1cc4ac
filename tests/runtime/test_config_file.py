"""Every key of a TOML file is found on its line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from channelsync.runtime.config_file import index_lines

TRICKY = """\
a = 1 # comment ] }
"b.c" . d = \"\"\"x
[not a table]
y = 1\"\"\"
[[channel]]
name = 'a'
  [channel.settings]
  token = { env = "X", list = [1,
    2, { q = "}" }] }
  list = [
    "a", # ]
    [1, 2],
  ]
[[channel]]
day = 1979-05-27 07:32:00
empty = \"\"\"\"\"\"
quotes = \"\"\"a\"\"\"\"\"
literal = '\\'
[channel.settings.deep]
x.y = true
[table."quoted \\" key"]
"""


def test_every_key_table_and_entry_has_its_line() -> None:
    lines = index_lines(TRICKY)

    assert lines["a",] == 1
    assert lines["b.c", "d"] == 2
    assert lines["channel", 0] == 5
    assert lines["channel", 0, "settings"] == 7
    assert lines["channel", 0, "settings", "token", "env"] == 8
    assert lines["channel", 0, "settings", "token", "list", 1] == 9
    assert lines["channel", 0, "settings", "token", "list", 2, "q"] == 9
    assert lines["channel", 0, "settings", "list", 1] == 12
    assert lines["channel", 1] == 14
    assert lines["channel", 1, "quotes"] == 17
    assert lines["channel", 1, "settings", "deep", "x", "y"] == 20
    assert lines["table", 'quoted " key'] == 21


def paths_of(values: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    pairs: Any = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for part, held in pairs:
        yield from paths_of(held, (*path, part))


# Each value with the number of its lines.
VALUES = st.sampled_from(
    [
        ("1", 1),
        ("-0.5e3", 1),
        ("true", 1),
        ("1979-05-27T07:32:00Z", 1),
        ('"a # b = ] } \\" \\\\"', 1),
        ("'c:\\'", 1),
        ('"""one\n[two]\n = """', 3),
        ("'''\n# '' '''", 2),
        ('""""quoted""""', 1),
        ("[]", 1),
        ("{}", 1),
        ('{ a = 1, "b c".d = [2] }', 1),
        ("[ # comment\n1,\n\n[2, '3'], ]", 4),
        ('[{ a = "]" }, { a = """\n""" }]', 2),
    ]
)
KEYS = st.sampled_from(["a", "b-c", "1", '"d e"', "'f'", "g.h", 'i . "j.k"', '"\\u0041"'])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[tuple[str, int]]]:
    """A TOML text, and for some of its keys (as they are written) the line on which they stand."""
    lines: list[str] = []
    keys: list[tuple[str, int]] = []
    headers = draw(st.lists(st.sampled_from(["", "[t{}]", "[[u]]", "[[u.v]]", "[u.w{}]", '["x y".z{}]']), max_size=8))
    for number, header in enumerate(headers):
        lines.extend(draw(st.sampled_from([[], [""], ["# [no] = 1"], ["\t"]])))
        lines.append(header.format(number) if number else "# first")
        for place, key in enumerate(draw(st.lists(KEYS, max_size=3))):
            value, height = draw(VALUES)
            keys.append((f"n{number}_{place}", len(lines) + 1))
            before = "  " * draw(st.integers(0, 1))
            lines.extend(f"{before}n{number}_{place}.{key} = {value}".split("\n"))
            assert value.count("\n") + 1 == height
            lines[-1] += draw(st.sampled_from(["", " # done", "\t"]))
    return "\n".join(lines), keys


@given(documents())
def test_the_line_index_agrees_with_the_parser_on_any_document(document: tuple[str, list[tuple[str, int]]]) -> None:
    text, keys = document
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # for example [u.w1] before [[u]]
    lines = index_lines(text)

    assert set(paths_of(values)) <= set(lines)
    found = {path[-1]: line for path, line in lines.items()}
    assert all(found[name] == line for name, line in keys)
