"""``code_interpreter``: Python in a sandbox, whose variables and files stay for the thread's next calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Any

from runs.asked import KEPT
from runs.citations import PATH, marks_of_path
from runs.outcomes import Outcome
from runs.sandbox import probing
from runs.sandbox.outputs import Ended, FileRefused, FileState, Image, Logs, SandboxUnavailable
from runs.sandbox.sessions import Session
from runs.tools.base import Call, ServerTool, Surroundings, ToolFailed, Work
from runs.tools.fitting import fitted
from runs.tools.interpreter import allowance, files, hosting, past, products, reports
from runs.tools.interpreter.files import Given
from runs.tools.interpreter.listening import LENGTH, Listener, code_of
from runs.tools.interpreter.outputs import Outputs, sentence_line
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError

DESCRIPTION = (
    "Run Python code and see what it prints. Variables, imports and files stay for the next call of this conversation. "
    "numpy, pandas and matplotlib are there; there is no internet. Figures are shown to the user by plt.show(). "
    f"Save files for the user at {files.FOLDER} and link them like [name]({PATH}{files.FOLDER}/name)."
)
FILES_GIVEN = "\nThese files are there: "
SECONDS = 60.0  # that one piece of code may run
FILES_SECONDS = 60.0  # that may pass besides, while files go in and out
MOST_FILES = 20  # that one piece of code may leave
NO_CODE = "The call had no code."
TOO_LONG = f"The code is longer than {LENGTH // 1024} K characters and was not run."
FRESH = "This is a new session: variables and files of earlier calls are gone."
SILENT = "The code ran and printed nothing."
SHOWN = "[An image was shown to the user.]"
MADE = "Files that were made: {}"


class CodeInterpreter(ServerTool):
    type = kind = "code_interpreter"
    shown = "input"
    timeout = SECONDS + FILES_SECONDS
    repeatable = False

    def __init__(self, settings: dict[str, Any], surroundings: Surroundings) -> None:
        super().__init__(settings, surroundings)
        self._outputs: dict[str, Outputs] = {}  # of the calls that were begun here, by their ids

    @classmethod
    def unavailable(cls) -> str:
        return reports.why_refused()

    async def is_for_others(self) -> bool:
        return not (await probing.probe()).usable and (await in_database(reports.reported)).usable > 0

    def definition(self, name: str) -> dict[str, Any]:
        there = ", ".join(given.path for given in self._given())
        parameters = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
        description = f"{DESCRIPTION}{FILES_GIVEN}{there}" if there else DESCRIPTION
        return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}

    def arguments(self, text: str) -> dict[str, Any]:
        return {"code": code_of(text)}

    def listener(self) -> Callable[[str], str]:
        return Listener()

    def begun(self, name: str, call_id: str) -> Call:
        return {"id": call_id, "type": self.type, self.type: {"input": "", "outputs": []}}

    async def carry_out(self, call: Call, arguments: dict[str, Any], work: Work) -> Call:
        outputs = self._outputs[call["id"]] = Outputs(work.show)
        seconds = await in_database(self._seconds, arguments["code"])
        try:
            ended = await self._run(arguments["code"], seconds, outputs)
        except SandboxUnavailable as error:
            raise ToolFailed(str(error)) from None
        if ended.how == "error":
            raise ToolFailed("", Outcome.RAISED)  # its traceback was printed
        if ended.how != "ok":
            await outputs.say(ended.message)
            raise ToolFailed(ended.message, Outcome.TIMEOUT if ended.how == "timeout" else Outcome.ERROR)
        return outputs.of(call)

    def failed(self, call: Call, message: str) -> Call:
        """The reason is the last line of what was printed, where it is not there already."""
        begun = self._outputs.get(call["id"])
        call = begun.of(call) if begun else call
        outputs = call[self.type]["outputs"]
        if not message or (outputs and outputs[-1].get("logs", "").endswith(f"{message}\n")):
            return call
        line = {"type": "logs", "logs": sentence_line(outputs, message)}
        if outputs and outputs[-1]["type"] == "logs":
            line["logs"], outputs = outputs[-1]["logs"] + line["logs"], outputs[:-1]
        return {**call, self.type: {**call[self.type], "outputs": [*outputs, line]}}

    def told(self, call: Call, *, position: int, earlier: Sequence[Call], room: int) -> str:
        printed = [output.get("logs", SHOWN) for output in call[self.type]["outputs"]]
        kept = call.get(KEPT, {"notes": [], "files": {}})
        made = [MADE.format(", ".join(PATH + path for path in kept["files"]))] if kept["files"] else []
        rest = "\n".join([*made, *kept["notes"]])
        return f"{fitted(''.join(printed) or SILENT, room - len(rest.encode()))}\n{rest}".rstrip()

    def waited(self, call_id: str) -> float:
        return self._outputs[call_id].waited if call_id in self._outputs else 0.0

    def lasting_sources(self) -> dict[str, str]:
        made = past.made_files(self.surroundings.thread_id)
        return {mark: file_id for path, file_id in made.items() for mark in marks_of_path(path)}

    # ------------------------------------------------------------------------------------- inside

    def _seconds(self, code: str) -> float:
        """How long it may run.

        :raises ToolFailed: not at all.
        """
        if not code.strip():
            raise ToolFailed(NO_CODE)
        if len(code) >= LENGTH:
            raise ToolFailed(TOO_LONG)
        return min(SECONDS, allowance.seconds_left(self.surroundings.project_id))

    def _given(self) -> list[Given]:
        return files.given(self.surroundings.project_id, self.surroundings.resources)

    async def _run(self, code: str, seconds: float, outputs: Outputs) -> Ended:
        """:raises SandboxUnavailable: there is no session, or it was lost."""
        begun = monotonic()
        try:
            session = await self._session()
        finally:
            outputs.waited = monotonic() - begun
        outputs.session = session.id
        if session.fresh and await in_database(past.has_run_code, self.surroundings.thread_id):
            outputs.notes.append(FRESH)
        await self._put_files(session, outputs)
        before = await session.files()
        ended = await self._listen(session, code, seconds, outputs)
        if session.is_alive:
            await self._keep_files(session, before, outputs)
        return ended

    async def _session(self) -> Session:
        """The one that the thread's last code ran in, or a fresh one.

        :raises SandboxUnavailable: there is none.
        """
        thread_id, project_id = self.surroundings.thread_id, self.surroundings.project_id
        session = await hosting.sandbox().session(key=thread_id, owner=project_id)
        if session.fresh or session.id == await in_database(past.last_session, thread_id):
            return session
        await session.close()  # the thread went on in another worker: what is here is older than what the model knows
        return await hosting.sandbox().session(key=thread_id, owner=project_id)

    async def _listen(self, session: Session, code: str, seconds: float, outputs: Outputs) -> Ended:
        images = 0
        async with aclosing(session.run(code, seconds=seconds)) as coming:
            async for output in coming:
                if isinstance(output, Logs):
                    await outputs.print(output.text)
                elif isinstance(output, Image):
                    images += 1
                    await self._show_image(output, images, outputs)
                else:
                    if output.unseen:
                        outputs.notes.append(f"{output.unseen} more figures were not shown.")
                    return output
        raise SandboxUnavailable("The sandbox ended without a word.")

    async def _show_image(self, image: Image, number: int, outputs: Outputs) -> None:
        try:
            await outputs.draw(await products.keep_image(self.surroundings, f"figure-{number}.png", image.png))
        except ApiError as error:
            await outputs.say(str(error))

    async def _put_files(self, session: Session, outputs: Outputs) -> None:
        """Put in what is not there yet, of what the assistant and the thread have."""
        placed = hosting.given_to(session)
        for given in await in_database(self._given):
            if given.id in placed:
                continue
            try:
                path = await session.put(given.name, given.pieces(), size=given.size)
            except FileRefused as error:
                outputs.notes.append(f"The file {given.path} is not there: {error}")
                continue
            placed.add(given.id)
            if path != given.path:
                outputs.notes.append(f"The file {given.path} is at {path}.")

    async def _keep_files(self, session: Session, before: dict[str, FileState], outputs: Outputs) -> None:
        """Make files of what is new or was changed."""
        after = await session.files()
        made = [path for path, state in after.items() if before.get(path) != state and products.is_product(path)]
        for path in sorted(made)[:MOST_FILES]:
            try:
                outputs.files[path] = await products.keep_file(self.surroundings, session, path)
            except (FileRefused, ApiError) as error:
                outputs.notes.append(f"The file {path} was not kept: {error}")
        if len(made) > MOST_FILES:
            outputs.notes.append(f"{len(made) - MOST_FILES} more files were not kept.")
