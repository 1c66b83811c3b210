"""Code runs as in a notebook."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from runs.sandbox.outputs import Ended, Image, Logs
from runs.sandbox.sessions import Sandbox, Session
from tests.sandbox.conftest import Run

pytestmark = pytest.mark.sandbox
OK = Ended("ok")


async def test_variables_and_imports_stay(run: Run) -> None:
    assert (await run("import math\nx = 40")).ended == OK
    done = await run("print(x + 2, math.pi)")
    assert (done.logs, done.ended) == ("42 3.141592653589793\n", OK)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("2 + 3", "5\n"),
        ("x = 1\nx, 'a'", "(1, 'a')\n"),
        ("None", ""),
        ("print('a')", "a\n"),
        ("x = 1", ""),
        ("", ""),
        ("def f(): return 1\nf()", "1\n"),
        ("'ä€😀'", "'ä€😀'\n"),
    ],
)
async def test_the_value_of_the_last_expression_is_shown(run: Run, code: str, shown: str) -> None:
    done = await run(code)
    assert (done.logs, done.ended) == (shown, OK)


async def test_what_is_printed_comes_as_it_is_printed(session: Session) -> None:
    async with aclosing(session.run("print('first')\nwhile True: pass", seconds=30)) as outputs:
        assert await anext(outputs) == Logs("first\n")
    assert not session.is_alive  # who leaves early ends it


async def test_everything_that_is_printed_comes_in_order(run: Run) -> None:
    code = "import os, sys\nprint('a')\nsys.stderr.write('b\\n')\nos.write(1, b'c\\n')\nprint('d', end='')"
    assert (await run(code)).logs == "a\nb\nc\nd"


async def test_what_is_no_text_becomes_text(run: Run) -> None:
    assert (
        await run("import os; _ = os.write(1, b'a\\0\\xffb')")
    ).logs == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"


async def test_what_only_looks_like_a_figures_place_holds_nothing_back(run: Run) -> None:
    done = await run("import os\nfor _ in range(1_000): os.write(1, b'\\xff' + b'a' * 60)\nprint('end')")
    assert done.logs == ("\N{REPLACEMENT CHARACTER}" + "a" * 60) * 1_000 + "end\n"
    assert (await run("print('next')")).logs == "next\n"


async def test_an_error_is_shown_from_the_codes_first_line_on(run: Run) -> None:
    done = await run("def divide(a):\n    return a / 0\n\ndivide(1)")
    assert done.ended == Ended("error", "ZeroDivisionError: division by zero")
    assert done.logs.startswith(
        'Traceback (most recent call last):\n  File "<cell 1>", line 4, in <module>\n    divide(1)\n'
    )
    assert "notebook.py" not in done.logs
    assert "return a / 0" in done.logs


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (", "SyntaxError: '(' was never closed"),
        ("x = '\\0'\nnothing", "NameError: name 'nothing' is not defined"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E: <exception str() failed>"),
        ("input('name?')", "RuntimeError: input() is not available: nobody can answer while the code runs."),
        ("raise ValueError('a\\nb\\0' + 'c' * 1000)", "ValueError: a b" + "c" * 485),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    ],
)
async def test_errors_of_every_kind_leave_the_session_alive(
    run: Run, session: Session, code: str, message: str
) -> None:
    done = await run(code)
    assert done.ended.how == "error"
    assert done.ended.message.startswith(message[:400])
    assert (await run("2 + 3")).logs == "5\n"


async def test_leaving_is_no_error(run: Run) -> None:
    assert (await run("print('a')\nexit()\nprint('b')")).logs == "a\n"
    assert (await run("quit()")).ended == OK


async def test_a_child_that_goes_on_with_the_code_ends_with_it(run: Run) -> None:
    code = "import os\npid = os.fork()\nif pid: _ = os.waitpid(pid, 0)\nprint('parent' if pid else 'child')"
    done = await run(code)
    assert (sorted(done.logs.split()), done.ended) == (["child", "parent"], OK)
    assert (await run("2 + 3")).logs == "5\n"


async def test_closed_and_replaced_streams_are_mended(run: Run) -> None:
    await run("import sys, os\nsys.stdout.close(); sys.stderr = None; os.close(1); os.close(2); sys.stdin = None")
    assert (await run("print('there')")).logs == "there\n"


async def test_figures_are_shown_where_they_are_made(session: Session) -> None:
    code = "import matplotlib.pyplot as plt\nprint('a')\n_ = plt.plot([1, 2])\nplt.show()\nprint('b')\nplt.plot([1])"
    shown = []
    async with aclosing(session.run(code, seconds=60)) as outputs:
        async for output in outputs:
            shown.append(output.text if isinstance(output, Logs) else type(output))
    assert "".join(text for text in shown[: shown.index(Image)] if isinstance(text, str)) == "a\n"
    assert shown[-2:] == [Image, Ended]
    assert shown.count(Image) == 2


async def test_figures_left_open_are_shown_at_the_end_and_empty_ones_are_not(run: Run) -> None:
    code = "import matplotlib.pyplot as plt\nfor n in range(2): plt.figure(); _ = plt.plot([1, n])\n_ = plt.figure()"
    assert len((await run(code, seconds=60)).images) == 2
    assert (await run("print(plt.get_fignums())")).logs == "[]\n"


async def test_the_libraries_that_are_promised_are_there(run: Run) -> None:
    code = (
        "import numpy, pandas, openpyxl, PIL\n"
        "frame = pandas.DataFrame({'a': [1, 2]})\n"
        "frame.to_excel('a.xlsx'); print(int(pandas.read_excel('a.xlsx')['a'].sum()), numpy.arange(3).sum())"
    )
    assert (await run(code, seconds=60)).logs == "3 3\n"


async def test_the_code_does_not_see_itself_as_a_strangers_module(run: Run) -> None:
    code = "import pickle\nclass Point: pass\nprint(__name__, type(pickle.loads(pickle.dumps(Point()))) is Point)"
    assert (await run(code)).logs == "__main__ True\n"


async def test_processes_of_its_own_may_be_started(run: Run) -> None:
    code = (
        "import multiprocessing\n"
        "def work(queue): queue.put(6 * 7)\n"
        "context = multiprocessing.get_context('fork'); queue = context.Queue()\n"
        "process = context.Process(target=work, args=(queue,)); process.start()\n"
        "print(queue.get()); process.join()"
    )
    assert (await run(code)).logs == "42\n"


async def test_too_long_a_code_is_not_run(run: Run) -> None:
    assert (await run("#" * 600_000)).ended == Ended("error", "The code is longer than 524,288 characters.")


async def test_code_with_halves_of_characters_is_run(run: Run) -> None:
    assert (await run("x = '\ud800'; print(len(x))")).logs == "1\n"


async def test_the_same_thread_gets_the_same_session(sandbox: Sandbox) -> None:
    first = await sandbox.session(key="a")
    assert first.fresh
    assert await sandbox.session(key="a") is first
    assert not first.fresh
