"""A request to Pygments: what the planner writes of it, and what its agents then do.

Two tasks add a module each and need nothing of one another; the third makes an option of both. What is written is a
change to Pygments that works.
"""

from tests.e2e.planned_task import Change, PlannedTask

REQUEST = (
    "Add `pygmentize --count FILE`: it prints how many lines of the file are code, how many are comments and how many "
    "are blank, as a table."
)
TITLE = "Count the lines of a file by what they hold"
CONTRACT = (
    "Counts are a dict with exactly the keys 'code', 'comment' and 'blank', in this order, whose values are ints.\n"
    "`pygments.linecount.count_lines(code, lexer)` returns counts.\n"
    "`pygments.counttable.format_counts(rows)` takes a list of (name, counts) and returns the table as one string."
)


LINECOUNT = '''\
"""
    pygments.linecount
    ~~~~~~~~~~~~~~~~~~

    Count lines of source code by what they hold.

    :copyright: Copyright 2006-present by the Pygments team, see AUTHORS.
    :license: BSD, see LICENSE for details.
"""

from pygments.token import Comment

__all__ = ['count_lines']


def _is_comment(ttype):
    return ttype in Comment and ttype not in Comment.Preproc and ttype not in Comment.PreprocFile


def count_lines(code, lexer):
    """Count the lines of `code` that hold code, nothing but comments, and nothing."""
    held = [set()]
    for _, ttype, value in lexer.get_tokens_unprocessed(code):
        for number, piece in enumerate(value.split('\\n')):
            if number:
                held.append(set())
            if piece.strip():
                held[-1].add('comment' if _is_comment(ttype) else 'code')
    if not code or code.endswith('\\n'):
        held.pop()
    counts = {'code': 0, 'comment': 0, 'blank': 0}
    for kinds in held:
        counts['code' if 'code' in kinds else 'comment' if kinds else 'blank'] += 1
    return counts
'''
TEST_LINECOUNT = '''\
import pytest

from pygments.lexers import get_lexer_by_name

MODULE = '"""What it is for."""\\n\\n# Read again\\nx = 1  # one\\n\\n\\ndef f():\\n    return x\\n'


@pytest.mark.parametrize(
    ('language', 'code', 'expected'),
    [
        ('python', MODULE, {'code': 4, 'comment': 1, 'blank': 3}),
        ('python', '\\n\\nx = 1\\n\\n', {'code': 1, 'comment': 0, 'blank': 3}),
        ('python', 'x = 1', {'code': 1, 'comment': 0, 'blank': 0}),
        ('python', '', {'code': 0, 'comment': 0, 'blank': 0}),
        ('c', '/* a\\n\\n b */\\nint x;\\n', {'code': 1, 'comment': 2, 'blank': 1}),
        ('c', '#include <stdio.h>\\n', {'code': 1, 'comment': 0, 'blank': 0}),
    ],
    ids=['module', 'blank ends', 'no newline', 'empty', 'comment', 'directive'],
)
def test_lines_are_counted_by_what_they_hold(language, code, expected):
    from pygments.linecount import count_lines

    counts = count_lines(code, get_lexer_by_name(language))

    assert list(counts.items()) == list(expected.items())
'''
COUNTTABLE = '''\
"""
    pygments.counttable
    ~~~~~~~~~~~~~~~~~~~

    Show counts of lines as a table.

    :copyright: Copyright 2006-present by the Pygments team, see AUTHORS.
    :license: BSD, see LICENSE for details.
"""

__all__ = ['format_counts']

COLUMNS = ('code', 'comment', 'blank')


def format_counts(rows):
    """The table of `rows`, pairs of a name and its counts, beneath a line of headings."""
    lines = [('file', *COLUMNS)]
    lines += [(name, *(str(counts[column]) for column in COLUMNS)) for name, counts in rows]
    first, *others = (max(map(len, column)) for column in zip(*lines))
    return ''.join(
        '  '.join([name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, others))]) + '\\n'
        for name, *cells in lines
    )
'''
TEST_COUNTTABLE = """\
def test_names_stand_left_and_numbers_right():
    from pygments.counttable import format_counts

    rows = [
        ('a.py', {'code': 7, 'comment': 0, 'blank': 12}),
        ('library.py', {'code': 1200, 'comment': 31, 'blank': 4}),
    ]

    assert format_counts(rows).splitlines() == [
        'file        code  comment  blank',
        'a.py           7        0     12',
        'library.py  1200       31      4',
    ]


def test_without_a_file_there_are_headings():
    from pygments.counttable import format_counts

    assert format_counts([]) == 'file  code  comment  blank\\n'
"""
OPTION_ANCHOR = "    # parse -O options\n    parsed_opts = _parse_options(argns.O or [])\n"
OPTION = """\
    # handle ``pygmentize --count``
    if argns.count:
        from pygments.counttable import format_counts
        from pygments.linecount import count_lines
        if not argns.INPUTFILE:
            print('Error: --count needs a file', file=sys.stderr)
            return 1
        with open(argns.INPUTFILE, 'rb') as infile:
            code, _ = guess_decode(infile.read())
        if argns.l:
            lexer = get_lexer_by_name(argns.l)
        else:
            lexer = get_lexer_for_filename(argns.INPUTFILE, code)
        sys.stdout.write(format_counts([(argns.INPUTFILE, count_lines(code, lexer))]))
        return 0

"""
ARGUMENT_ANCHOR = "    special_modes.add_argument(\n        '-V', action='store_true',\n"
ARGUMENT = """\
    special_modes.add_argument(
        '--count', action='store_true',
        help='Print how many lines of the input file are code, comments '
        'and blank.')
"""
MANUAL_ANCHOR = "A note on encodings\n-------------------\n"
MANUAL = """\
Counting lines
--------------

The ``--count`` option prints how many lines of a file are code, how many are
comments and how many are blank::

    $ pygmentize --count setup.py


"""
TEST_OPTION = """\
from pygments import cmdline


def run(*arguments):
    return cmdline.main(['pygmentize', *arguments])


def test_a_file_is_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.py').write_text('# nothing\\n\\nx = 1\\n')

    assert run('--count', 'a.py') == 0

    assert capsys.readouterr().out.splitlines() == [
        'file  code  comment  blank',
        'a.py     1        1      1',
    ]


def test_a_file_is_needed(capsys):
    assert run('--count') == 1
    assert '--count needs a file' in capsys.readouterr().err
"""
# It passes before anybody has done anything, and so it says nothing of the work.
GREEN_TEST = """

def test_the_help_is_printed(capsys):
    assert run('-h') == 0
"""
TASKS = (
    PlannedTask(
        id="linecount",
        title="Count lines by what they hold",
        what=(
            "Add the module `pygments/linecount.py` with `count_lines(code, lexer)`. It counts the lines of the string "
            "`code`: a line with any token that is no comment and no white space is 'code'; one with nothing but "
            "comments is 'comment'; all others are 'blank', those inside a comment too. Preprocessor directives "
            "(`Comment.Preproc`, `Comment.PreprocFile`) and docstrings are code. Blank lines at the beginning and the "
            "end count; use `lexer.get_tokens_unprocessed`, which keeps them. The empty string has no lines."
        ),
        where="`pygments/token.py` has the token types, `pygments/lexer.py` has `Lexer.get_tokens_unprocessed`.",
        done_when=("`count_lines` returns counts for Python and C sources as described",),
        needs={},
        contract=CONTRACT,
        test="tests/test_count_lines.py",
        test_content=TEST_LINECOUNT,
        changes=(Change("pygments/linecount.py", LINECOUNT),),
    ),
    PlannedTask(
        id="counttable",
        title="Show counts as a table",
        what=(
            "Add the module `pygments/counttable.py` with `format_counts(rows)`. The first line has the headings file, "
            "code, comment and blank; then comes one line for each row, in the order given. Names are aligned left, "
            "numbers right beneath their headings, two spaces lie between the columns, and each line ends with a "
            "newline. Without rows there are only the headings."
        ),
        where="Nothing there has to be changed; `pygments/util.py` shows the style of small modules.",
        done_when=("The table of any rows is aligned as described",),
        needs={},
        contract=CONTRACT,
        test="tests/test_count_table.py",
        test_content=TEST_COUNTTABLE,
        changes=(Change("pygments/counttable.py", COUNTTABLE),),
    ),
    PlannedTask(
        id="option",
        title="Add pygmentize --count",
        what=(
            "Give `pygmentize` the option `--count`, one of its special modes. With an input file it prints the table "
            "of that file's counts, by the name given, and exits with 0; the lexer is that of `-l`, or the one for the "
            "file's name. Without an input file it prints `Error: --count needs a file` to stderr and exits with 1. "
            "Describe the option in the manual."
        ),
        where=(
            "`pygments/cmdline.py`: `main` declares the options, `main_inner` handles them. The manual is "
            "`doc/docs/cmdline.rst`."
        ),
        done_when=(
            "`pygmentize --count FILE` prints the table",
            "`pygmentize --count` without a file is refused",
            "The manual has a section on it",
        ),
        needs={"linecount": "`count_lines`, which it calls", "counttable": "`format_counts`, which it calls"},
        contract=CONTRACT,
        test="tests/test_count_option.py",
        test_content=TEST_OPTION,
        changes=(
            Change(
                "pygments/cmdline.py",
                edits=((OPTION_ANCHOR, OPTION + OPTION_ANCHOR), (ARGUMENT_ANCHOR, ARGUMENT + ARGUMENT_ANCHOR)),
            ),
            Change("doc/docs/cmdline.rst", edits=((MANUAL_ANCHOR, MANUAL + MANUAL_ANCHOR),)),
        ),
    ),
)
